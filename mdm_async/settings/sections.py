"""The sections of the tree: each setting with its bounds, its default, and what it is for."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

_S3_URL = re.compile(
    r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/((?:[A-Za-z0-9._=-]+/)*[A-Za-z0-9._=-]*))?\Z"
)
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MOST_BULK = 100_000
"""Files in one request, whatever is set."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def read_secret(given: Any, name: str) -> Any:
    """`<name>_file` names a file that holds the secret `<name>`. What is no table is refused later."""
    if not isinstance(given, dict) or not (path := given.get(f"{name}_file")):
        return given
    if given.get(name):
        raise ValueError(f"{name} and {name}_file are both set; set one")
    try:
        return given | {name: Path(path).read_text().strip()}
    except OSError as why:
        raise ValueError(f"{name}_file {path} cannot be read: {why.strerror}; restore that file") from why
    except UnicodeDecodeError:  # Its words tell a byte.
        raise ValueError(f"{name}_file {path} is not text; restore that file") from None


class PathSettings(Section):
    """Where the parts of `data` lie, when they lie apart: on other disks, in other backups."""

    database: Path | None = Field(None, description="directory of the embedded Postgres; default: DIR")
    blobs: Path | None = Field(None, description="directory of ciphertext; default: DIR/blobs")
    secrets: Path | None = Field(
        None, description="directory of keys and the admin token; default: DIR/secrets"
    )


class ServerSettings(Section):
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
    processes: Literal["auto"] | Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="processes that serve together, on the same ports; auto: one for each core"
    )

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


class DatabaseSettings(Section):
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
    acquire_timeout: float = Field(
        10,
        gt=0,
        le=300,
        description="seconds that a request, or the server's own work, waits for a connection",
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
    def _from_file(cls, given: Any) -> Any:
        return read_secret(given, "dsn")


class BlobSettings(Section):
    """The store of ciphertext."""

    url: str | None = Field(
        None,
        description="where blobs lie when not in a directory: s3://BUCKET/PREFIX, reached as [s3] says",
    )
    reserve_free: int = Field(1 * GIB, ge=0, description="bytes of free disk below which uploads are refused")
    shared: bool = Field(
        False, description="other nodes of this installation use the same directory of blobs"
    )
    lease_seconds: float = Field(60, gt=1, description="how long a write may go without a sign of life")
    inline_max: int = Field(
        256 * KIB, ge=0, le=MIB, description="parts up to this many bytes live in Postgres"
    )
    deep_check_days: float = Field(
        30,
        ge=0,
        description="days in which all that is stored is opened and read once, in the background (0: never)",
    )

    @field_validator("url")
    @classmethod
    def _names_a_bucket(cls, given: str | None) -> str | None:
        if given is None:
            return None
        match = _S3_URL.match(given)
        if match is None or any(part in (".", "..") for part in given.split("/")):
            # What was given is not repeated: it might hold a key.
            raise ValueError("must be s3://BUCKET/PREFIX, and no key in it; keys go to [s3]")
        return f"s3://{match[1]}/{match[2]}".rstrip("/")


class ScrubSettings(Section):
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


class HookSettings(Section):
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


class LimitSettings(Section):
    """What callers can use of a node, in all and each; docs/limits.md describes them."""

    held: int = Field(
        1 * GIB,
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
    macaroons: int = Field(
        20_000, ge=1, description="macaroons of one caller that have neither expired nor been revoked"
    )
    macaroon_seconds: int = Field(
        7 * 86400,
        ge=60,
        description="longest life of a macaroon (seconds); one asked for longer is made for this long",
    )
    values: int = Field(
        1 << 18,
        ge=1024,
        description="commas and brackets in a request's JSON, elements and attributes in its XML",
    )
    line: int = Field(8 * KIB, ge=KIB, description="bytes of a request's URL")
    field: int = Field(32 * KIB, ge=KIB, description="bytes of a header field")
    fields: int = Field(128, ge=32, description="header fields of a request")
    head: int = Field(64 * KIB, ge=KIB, description="bytes of a request's line and header fields together")
    ranges: int = Field(1024, ge=1, description="ranges of a request; with more the whole is sent")
    digests: int = Field(
        64,
        ge=8,
        description="views whose MD5 or SHA-256 is computed because it was asked for, or waits to be; two are read at "
        "once",
    )
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
    locks: int = Field(10_000, ge=1, description="locks of names at once (WebDAV's LOCK), of all callers")
    locks_each: int = Field(500, ge=1, description="as `locks`, of one caller")
    lock_seconds: int = Field(3600, ge=1, description="seconds that a lock lasts unless it is refreshed")
    properties: int = Field(
        16 * KIB, ge=0, description="bytes of properties that clients may keep with an entry (PROPPATCH)"
    )
    cohorts: int = Field(1000, ge=1, description="cohorts at one directory")
    cohort_members: int = Field(100_000, ge=1, description="files of a cohort")
    opaque: int = Field(
        100 * GIB, ge=0, description="bytes that opaque files, which are not DICOM, may take of the store"
    )
    opaque_each: int = Field(10 * GIB, ge=0, description="bytes that the opaque files of one caller may take")


class TransferSettings(Section):
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
    writer_window: float = Field(
        3600,
        ge=0,
        description="seconds for which whoever wrote a file is told size and checksums of what was sent, as transfer "
        "tools demand, and not those of its view",
    )
    slowest: int = Field(
        1000, ge=0, description="bytes/s below which senders and readers are cut, over limits.pace_seconds"
    )


class DeliverySettings(Section):
    """What leaves in the clear, over TLS or loopback, and what only sealed."""

    identified: Literal["clear", "sealed"] = Field("sealed", description="delivery of the identified view")
    deidentified: Literal["clear", "sealed"] = Field("clear", description="delivery of de-identified views")


class NamingSettings(Section):
    """Names that users give."""

    identifying: Literal["refuse", "rename"] = Field(
        "refuse", description="an LFN that holds the file's own identifiers, at upload"
    )
    refused: int = Field(
        20,
        ge=0,
        description="names and texts for stored files that tell who the patient is, tried in an hour by one caller; "
        "then he may name none; 0: any, and guesses are not counted",
    )
    looked_at: int = Field(
        1000,
        ge=0,
        le=100_000,
        description="entries below a directory that is moved whose new names are compared with their patients'",
    )


class IssuerSettings(Section):
    """One issuer of WLCG or OIDC tokens."""

    url: str = Field(description="as `iss` says it, https://…")
    audience: tuple[str, ...] = Field((), description="`aud` that is taken; default: the server's public URL")
    path: str = Field("/", description="directory that the paths of its capabilities are relative to")


class IdentitySettings(Section):
    """Who is believed about who is calling, besides local tokens."""

    ca_directory: Path | None = Field(
        None, description="authorities of client certificates: <hash>.0, their signing policies and CRLs"
    )
    voms_directory: Path | None = Field(None, description="LSC files of VOMS servers: <vo>/<host>.lsc")
    mapping: Path | None = Field(None, description="TOML file that gives principals their groups")
    issuers: tuple[IssuerSettings, ...] = Field((), description="issuers of WLCG or OIDC tokens")


class AuditSettings(Section):
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


class LogSettings(Section):
    """What the server tells of itself."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level shown")
    format: Literal["text", "json"] = Field("text", description="lines for people or for machines")
