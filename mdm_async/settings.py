"""One frozen tree of settings.

Sources, strongest first: the command line, `MDM_SECTION__KEY` in the environment, the TOML file, the defaults
below. `MDM_DATABASE__DSN_FILE` and `MDM_KEYS__KEK_FILE` name files that hold those secrets.
A list in the environment is JSON.
"""

import ipaddress
import os
import tomllib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from mdm_async.errors import UnsafeSettings
from mdm_async.loopback import is_loopback
from mdm_async.private_files import demand_private

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PREFIX = "MDM_"
MOST_BULK = 100_000
"""Files in one request, whatever is set."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _read_secret(given: dict[str, Any], name: str) -> dict[str, Any]:
    """`<name>_file` names a file that holds the secret `<name>`."""
    if not (path := given.get(f"{name}_file")):
        return given
    if given.get(name):
        raise ValueError(f"{name} and {name}_file are both set; set one")
    try:
        return given | {name: Path(path).read_text().strip()}
    except OSError as why:
        raise ValueError(f"{name}_file {path} cannot be read: {why.strerror}") from why
    except UnicodeDecodeError:  # Its words tell a byte.
        raise ValueError(f"{name}_file is not text") from None


class PathSettings(_Section):
    """Where the parts of `data` lie, when they lie apart: on other disks, in other backups."""

    database: Path | None = Field(None, description="directory of the embedded Postgres; default: DIR")
    blobs: Path | None = Field(None, description="directory of ciphertext; default: DIR/blobs")
    secrets: Path | None = Field(
        None, description="directory of keys and the admin token; default: DIR/secrets"
    )


class ServerSettings(_Section):
    """Where the server listens."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8085, ge=0, le=65535, description="plain HTTP port; 0 picks a free one")
    tls_port: int = Field(8443, ge=0, le=65535, description="HTTPS port, used when a certificate is set")
    tls_cert: Path | None = Field(None, description="PEM certificate chain")
    tls_key: Path | None = Field(None, description="PEM private key")
    public_url: str | None = Field(
        None,
        description="URL that transfer URLs begin with; default: the address that a request came to, never the Host "
        "that it names. Set it where clients reach the server by another address or port",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="IP addresses of peers whose forwarding headers count"
    )
    metrics: Literal["loopback", "all"] = Field(
        "loopback", description="who may read /metrics: this machine alone, or whoever reaches the server"
    )
    drain_seconds: float = Field(30, ge=0, description="how long SIGTERM waits for running transfers")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        # Peers are compared as addresses: a name or a network would never match, and nobody would notice.
        return tuple(str(ipaddress.ip_address(peer)) for peer in given)

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, given: str | None) -> str | None:
        url = urlsplit(given or "")
        beyond = url.path.strip("/") or url.query or url.fragment or url.username or url.password
        if given is not None and (url.scheme not in ("http", "https") or not url.hostname or beyond):
            raise ValueError("must be http(s)://host[:port] and nothing more")
        if url.port == 0:
            raise ValueError("has no port 0")
        return given


class DatabaseSettings(_Section):
    """The catalog's Postgres."""

    dsn_file: Path | None = Field(
        default=None, description="file that holds the DSN, for secrets that are mounted"
    )
    dsn: SecretStr | None = Field(None, description="Postgres DSN; without it an embedded one is started")
    pool: int = Field(16, ge=2, le=200, description="connections for requests, at the most")
    waiting: int = Field(
        1024,
        ge=1,
        description="requests that may wait for a connection at once, a quarter of them one caller's",
    )
    control_pool: int = Field(
        6, ge=4, le=50, description="connections for revocation, leases, audit and health, at the most"
    )
    bulk_pool: int = Field(
        4, ge=2, le=50, description="connections for sweeps, views to make and other long work, at the most"
    )
    statement_timeout: float = Field(
        15, gt=0, description="seconds that one statement of a request may take in Postgres"
    )
    control_statement_timeout: float = Field(
        10, gt=0, description="seconds that one statement of revocation, leases, audit and health may take"
    )
    bulk_statement_timeout: float = Field(
        300, gt=0, description="seconds that one statement of long work may take"
    )
    lock_timeout: float = Field(
        5, gt=0, description="seconds that a statement waits for what another transaction holds"
    )
    idle_timeout: float = Field(
        60, gt=0, description="seconds after which Postgres ends a transaction in which nothing is done"
    )

    reserve_free: int = Field(
        512 * MIB,
        ge=0,
        description="bytes of free disk of the embedded Postgres below which uploads are refused",
    )
    ballast: int = Field(
        64 * MIB,
        ge=0,
        description="bytes of the file DIR/ballast, given up when the embedded Postgres's disk is full",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: dict[str, Any]) -> dict[str, Any]:
        return _read_secret(given, "dsn")


class KeySettings(_Section):
    """Where the key-encryption keys come from."""

    kek: SecretStr | None = Field(
        None,
        description="key-encryption key, 32 bytes in base64, and below it older ones that still open what they "
        "wrapped; default: DIR/secrets/kek",
    )
    kek_file: Path | None = Field(default=None, description="file that holds them, one a line")

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: dict[str, Any]) -> dict[str, Any]:
        return _read_secret(given, "kek")


class BlobSettings(_Section):
    """The store of ciphertext."""

    reserve_free: int = Field(1 * GIB, ge=0, description="bytes of free disk below which uploads are refused")
    shared: bool = Field(
        False, description="other nodes of this installation use the same directory of blobs"
    )
    lease_seconds: float = Field(60, gt=1, description="how long a write may go without a sign of life")
    inline_max: int = Field(
        256 * KIB, ge=0, le=MIB, description="parts up to this many bytes live in Postgres"
    )


class ScrubSettings(_Section):
    """Limits of de-identification."""

    max_head: int = Field(64 * MIB, ge=64 * KIB, description="largest head (bytes) that is scrubbed")
    max_decoded: int = Field(
        256 * MIB, ge=MIB, description="largest pixels (bytes) that are decoded to blank regions of them"
    )
    in_process: int = Field(64 * KIB, ge=0, description="larger heads (bytes) go to a process of their own")
    memory: int = Field(2 * GIB, ge=256 * MIB, description="address space (bytes) of a scrubbing process")
    seconds: int = Field(120, ge=1, description="CPU seconds of a scrubbing process")
    queue: int = Field(
        256, ge=1, description="images of uploads that wait to be scrubbed; more are answered 429"
    )


class HookSettings(_Section):
    """A program of the site that pixels are given to: `[hooks.NAME]`. Profiles can only name it."""

    command: tuple[str, ...] = Field(
        min_length=1,
        description="program, with its whole path, and arguments; {rows}, {columns}, {frames}, {samples}, {bits} and "
        "{signed} become those of the image",
    )
    reads: tuple[Path, ...] = Field(
        (), description="what it may read besides the system's programs and its own: models, modules"
    )
    memory: int = Field(4 * GIB, ge=64 * MIB, description="address space (bytes)")
    seconds: int = Field(300, ge=1, description="time and CPU seconds for one image")

    @field_validator("command")
    @classmethod
    def _is_a_path(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if not Path(command[0]).is_absolute():
            raise ValueError("begin with the program's whole path: it runs without an environment")
        return command


class LimitSettings(_Section):
    """What callers can use of a node, in all and each; docs/limits.md describes them."""

    held: int = Field(
        512 * MIB,
        ge=MIB,
        description="bytes in memory of request bodies, heads and pieces on their way at once, of all callers",
    )
    share: float = Field(
        0.5, gt=0, le=1, description="the part that one caller may have of what others leave of a limit"
    )
    pieces: int = Field(
        64,
        ge=4,
        description="what pieces of work on requests may weigh at once: one each, and another for eight files",
    )
    waiting: int = Field(4096, ge=8, description="pieces of work on requests that wait for their turn")
    files_rate: int = Field(
        2000, ge=0, description="files a second that a caller may ask for, ten times so many at once; 0: any"
    )
    outstanding: int = Field(
        1_000_000,
        ge=16,
        description="files asked for and neither released nor put nor expired, of all callers",
    )
    anonymous_rate: int = Field(
        50,
        ge=0,
        description="requests, and files asked for, a second without a valid credential from one address, twenty times "
        "so many at once; 0: any",
    )
    anonymous_outstanding: int = Field(
        20_000, ge=16, description="as `outstanding`, of all callers without a credential"
    )
    anonymous_body: int = Field(
        64 * KIB,
        ge=KIB,
        description="bytes of a request body of a caller without a credential (not of an upload)",
    )
    values: int = Field(
        1 << 18,
        ge=1024,
        description="commas and brackets in a request's JSON, which parsing it costs",
    )
    line: int = Field(8 * KIB, ge=KIB, description="bytes of a request's URL")
    field: int = Field(32 * KIB, ge=KIB, description="bytes of a header field")
    fields: int = Field(128, ge=32, description="header fields of a request")
    head: int = Field(64 * KIB, ge=KIB, description="bytes of a request's line and header fields together")
    ranges: int = Field(1024, ge=1, description="ranges of a request; with more the whole is sent")
    connections: int = Field(4096, ge=8, description="connections from clients at once")
    head_seconds: float = Field(
        20, gt=0, description="seconds from a connection to the end of its first request's header fields, the TLS "
        "handshake included, and from the first byte of each later request to the end of its"
    )  # fmt: skip
    idle_seconds: float = Field(75, gt=0, description="seconds that a connection is kept between requests")
    pace_seconds: float = Field(
        60, gt=0, description="seconds over which senders and readers must keep to transfers.slowest"
    )
    body_seconds: float = Field(86400, gt=0, description="seconds that one request's body may take to come")


class TransferSettings(_Section):
    """Requests, pins and transfer URLs."""

    default_pin: int = Field(
        3600, ge=1, description="life of a transfer URL (seconds) when none is asked for"
    )
    max_pin: int = Field(86400, ge=1, description="longest life of a transfer URL (seconds)")
    max_bulk: int = Field(10_000, ge=1, le=MOST_BULK, description="files in one request at the most")
    max_body: int = Field(16 * MIB, ge=KIB, description="bytes of a request body (not of an upload)")
    max_upload: int = Field(64 * GIB, ge=KIB, description="bytes of one upload at the most")
    running: int = Field(1024, ge=1, description="transfers at once, both ways; more are answered 429")
    revocation_grace: float = Field(
        30, ge=0, description="how long (seconds) transfers go on without the database"
    )
    slowest: int = Field(
        1000, ge=0, description="bytes/s below which senders and readers are cut, over limits.pace_seconds"
    )


class DeliverySettings(_Section):
    """What leaves in the clear, over TLS or loopback, and what only sealed."""

    identified: Literal["clear", "sealed"] = Field("sealed", description="delivery of the identified view")
    deidentified: Literal["clear", "sealed"] = Field("clear", description="delivery of de-identified views")


class NamingSettings(_Section):
    """Names that users give."""

    identifying: Literal["refuse", "rename"] = Field(
        "refuse", description="an LFN that holds the file's own identifiers, at upload"
    )
    looked_at: int = Field(
        1000,
        ge=0,
        description="entries below a directory that is moved whose new names are compared with their patients'",
    )


class IssuerSettings(_Section):
    """One issuer of WLCG or OIDC tokens."""

    url: str = Field(description="as `iss` says it, https://…")
    audience: tuple[str, ...] = Field((), description="`aud` that is taken; default: the server's public URL")
    path: str = Field("/", description="directory that the paths of its capabilities are relative to")


class IdentitySettings(_Section):
    """Who is believed about who is calling, besides local tokens."""

    ca_directory: Path | None = Field(
        None, description="authorities of client certificates: <hash>.0, their signing policies and CRLs"
    )
    voms_directory: Path | None = Field(None, description="LSC files of VOMS servers: <vo>/<host>.lsc")
    mapping: Path | None = Field(None, description="TOML file that gives principals their groups")
    issuers: tuple[IssuerSettings, ...] = Field((), description="issuers of WLCG or OIDC tokens")


class AuditSettings(_Section):
    """The audit trail's seals."""

    key_file: Path | None = Field(
        None, description="private key that signs seals; default: DIR/secrets/audit.key"
    )
    seals: str | None = Field(
        None,
        description="where seals are published: a file, or syslog:<host>:<port>; default: DIR/audit/seals.jsonl",
    )
    keep_days: int | None = Field(
        None, ge=1, description="days after which the audit trail is pruned, and not before; none: it is kept"
    )


class LogSettings(_Section):
    """What the server tells of itself."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level shown")
    format: Literal["text", "json"] = Field("text", description="lines for people or for machines")


class Settings(BaseSettings):
    """Every setting of the server; `mdm config show` prints them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    data: Path = Field(Path("mdm-data"), description="directory of secrets, ciphertext and embedded Postgres")
    paths: PathSettings = PathSettings()
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    keys: KeySettings = KeySettings()
    blobs: BlobSettings = BlobSettings()
    scrub: ScrubSettings = ScrubSettings()
    hooks: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_-]{0,62}$")], HookSettings] = Field(
        default_factory=dict, description="programs that profiles may name"
    )
    limits: LimitSettings = LimitSettings()
    transfers: TransferSettings = TransferSettings()
    delivery: DeliverySettings = DeliverySettings()
    naming: NamingSettings = NamingSettings()
    identity: IdentitySettings = IdentitySettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _ConfigFile(settings_cls)

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if (self.server.tls_cert is None) != (self.server.tls_key is None):
            raise ValueError("server.tls_cert and server.tls_key go together: set both or neither")
        clear = "clear" in (self.delivery.identified, self.delivery.deidentified)
        if clear and not self.tls and not is_loopback(self.server.host):
            raise ValueError(
                f"clear transfers would cross the network unencrypted: server.host {self.server.host} is not "
                "a loopback address and no certificate is set. Give --tls-cert and --tls-key, listen on "
                "127.0.0.1, or set delivery.deidentified = 'sealed'"
            )
        public = urlsplit(self.server.public_url or "")
        if clear and public.scheme == "http" and not is_loopback(public.hostname or ""):
            raise ValueError(
                "clear transfers would cross the network unencrypted: server.public_url is plain HTTP. Give its "
                "https URL, or set delivery.deidentified = 'sealed'"
            )
        if self.server.trusted_proxies and self.server.public_url is None:
            raise ValueError(
                "server.trusted_proxies without server.public_url: behind a proxy the server does not know the "
                "address that its clients use, and does not believe what they say. Set server.public_url"
            )
        if self.transfers.default_pin > self.transfers.max_pin:
            raise ValueError("transfers.default_pin is longer than transfers.max_pin")
        return self

    @property
    def tls(self) -> bool:
        return self.server.tls_cert is not None

    @property
    def database_directory(self) -> Path:
        return self.paths.database or self.data

    @property
    def blobs_directory(self) -> Path:
        return self.paths.blobs or self.data / "blobs"

    @property
    def secrets_directory(self) -> Path:
        return self.paths.secrets or self.data / "secrets"


_config_file: ContextVar[Path | None] = ContextVar("config_file", default=None)


class _ConfigFile(TomlConfigSettingsSource):
    """The TOML file that `load` was given."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls, toml_file=_config_file.get())


def _leaves() -> Iterator[tuple[str, str, FieldInfo]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, _Section):
            for key, leaf in field.annotation.model_fields.items():
                yield name, key, leaf


def _variable(section: str, key: str) -> str:
    return f"{PREFIX}{section}__{key}".upper()


def _refuse_unknown_variables() -> None:
    known = {_variable(section, key) for section, key, _ in _leaves()}
    for variable in os.environ:
        if variable.startswith(PREFIX) and "__" in variable and variable not in known:
            raise UnsafeSettings(f"{variable} names no setting", remedy="`mdm config show` lists them")


def _demand_private_if_secret(config: Path | None) -> None:
    """A settings file that holds a key, or a DSN with a password, is a secret itself. Raises UnsafeSettings."""
    written = tomllib.loads(config.read_text()) if config is not None else {}
    found = [
        f"{section}.{key}"
        for section, key, leaf in _leaves()
        if _is_secret(leaf) and isinstance(given := written.get(section), dict) and _tells(given.get(key))
    ]
    if config is not None and found:
        try:
            demand_private(config)
        except UnsafeSettings as why:
            raise UnsafeSettings(
                f"the settings file holds {', '.join(found)}: {why.detail}",
                remedy=f"{why.remedy}, or name a private file with {found[0]}_file",
            ) from None


def _tells(given: Any) -> bool:
    """Whether it is a secret: of a DSN, the password."""
    url = str(given or "")
    return bool(url) and not ("://" in url and urlsplit(url).password is None and "password=" not in url)


def _is_secret(leaf: FieldInfo) -> bool:
    return leaf.annotation == SecretStr | None


def secret_variables() -> frozenset[str]:
    """Names of variables in the environment that may hold a secret: settings, or sections of them as JSON."""
    secret = {
        name
        for section, key, leaf in _leaves()
        if _is_secret(leaf)
        for name in (_variable(section, key), f"{PREFIX}{section}".upper())
    }
    return frozenset(variable for variable in os.environ if variable.upper() in secret)


def load(config: Path | None = None, *, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read, merge and check all sources; `overrides` is a tree as the TOML file is.

    Raises UnsafeSettings with every reason, one a line.
    """
    if config is not None and not config.is_file():
        why = "is no file" if config.exists() else "does not exist"
        raise UnsafeSettings(f"the settings file {config} {why}")
    _refuse_unknown_variables()
    token = _config_file.set(config)
    try:
        _demand_private_if_secret(config)
        return Settings(**(overrides or {}))
    except ValidationError as errors:
        reasons = [
            f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg'].removeprefix('Value error, ')}"
            for e in errors.errors()
        ]
        raise UnsafeSettings("\n".join(reasons)) from None
    except (tomllib.TOMLDecodeError, SettingsError) as why:
        raise UnsafeSettings(f"the settings cannot be read: {why}") from why
    finally:
        _config_file.reset(token)
