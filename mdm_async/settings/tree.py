"""The tree, what must hold between its settings, and where they come from."""

import warnings
from contextvars import ContextVar
from itertools import combinations
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from mdm_async.loopback import is_loopback
from mdm_async.settings.cache import CacheSettings
from mdm_async.settings.copying import CopySettings
from mdm_async.settings.dicomweb import DicomwebSettings
from mdm_async.settings.keys import KeySettings
from mdm_async.settings.pacs import PacsSettings
from mdm_async.settings.s3 import S3Settings
from mdm_async.settings.sections import (
    AuditSettings,
    BlobSettings,
    DatabaseSettings,
    DeliverySettings,
    HookSettings,
    IdentitySettings,
    LimitSettings,
    LogSettings,
    NamingSettings,
    PathSettings,
    ScrubSettings,
    ServerSettings,
    TransferSettings,
)
from mdm_async.settings.site import SiteSettings

PREFIX = "MDM_"
_ANYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 — hosts to compare with, not to listen on


_MOST_IN_PARTS: Final = 75 << 30
"""Bytes of an upload whose blobs lie in a bucket: 10,000 parts of 8 MiB, sealed."""

config_file: ContextVar[Path | None] = ContextVar("config_file", default=None)


class _ConfigFile(TomlConfigSettingsSource):
    """The TOML file that `load` was given."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls, toml_file=config_file.get())


with warnings.catch_warnings():
    # Of an old method of pydantic's models, which nobody uses here.
    warnings.filterwarnings("ignore", 'Field name "copy"')

    class _WithCopy(BaseSettings):
        copy: CopySettings = CopySettings()  # type: ignore[assignment]


class Settings(_WithCopy):
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
    s3: S3Settings = S3Settings()
    scrub: ScrubSettings = ScrubSettings()
    hooks: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_-]{0,62}$")], HookSettings] = Field(
        default_factory=dict, description="programs that profiles may name"
    )
    limits: LimitSettings = LimitSettings()
    transfers: TransferSettings = TransferSettings()
    delivery: DeliverySettings = DeliverySettings()
    naming: NamingSettings = NamingSettings()
    identity: IdentitySettings = IdentitySettings()
    pacs: PacsSettings = PacsSettings()
    cache: CacheSettings = CacheSettings()
    dicomweb: DicomwebSettings = DicomwebSettings()
    site: SiteSettings = SiteSettings()
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
        secured = [one.ae for one in self.pacs.calling if one.secured]
        if secured and not self.tls:
            raise ValueError(
                f"pacs.calling: {', '.join(secured)} must come by TLS, and the server has no certificate. Give "
                "--tls-cert and --tls-key"
            )
        if self.transfers.default_pin > self.transfers.max_pin:
            raise ValueError("transfers.default_pin is longer than transfers.max_pin")
        return self

    @model_validator(mode="after")
    def _reaches_its_blobs(self) -> Self:
        if self.blobs.url is None:
            return self
        if self.paths.blobs is not None:
            raise ValueError("blobs.url and paths.blobs are both set: blobs lie in a bucket or a directory")
        if self.s3.access_key is None or self.s3.secret_key is None:
            raise ValueError(
                "blobs.url without the key of its bucket: set s3.access_key and s3.secret_key_file, or "
                "MDM_S3__ACCESS_KEY and MDM_S3__SECRET_KEY in the environment"
            )
        if self.transfers.max_upload > _MOST_IN_PARTS:
            raise ValueError(
                f"transfers.max_upload is more than the {_MOST_IN_PARTS} bytes that an object of blobs.url can have"
            )
        return self

    @model_validator(mode="after")
    def _is_one_where_custodians_come(self) -> Self:
        held = any(one.kek_custodians for one in (self.keys, *self.keys.stores))
        if held and self.server.processes != 1:
            raise ValueError(
                "server.processes: custodians open the keys of one process only. Set server.processes = 1, or keep the "
                "key-encryption key elsewhere"
            )
        return self

    @model_validator(mode="after")
    def _has_a_port_for_each(self) -> Self:
        server, pacs = self.server, self.pacs
        doors = [("server.port", server.host, server.port)]
        if self.tls:
            doors.append(("server.tls_port", server.host, server.tls_port))
        if pacs.port is not None:
            doors.append(("pacs.port", pacs.host or server.host, pacs.port))
        for (one, at, port), (other, there, same) in combinations(doors, 2):
            if port and port == same and (at == there or not _ANYWHERE.isdisjoint((at, there))):
                raise ValueError(f"{one} and {other} are both {port}: give one of them another port")
        return self

    @model_validator(mode="after")
    def _lets_in_what_it_allows(self) -> Self:
        """What one credential can have of what is shared is as much as one request may want: it would be answered 429
        for ever, and told to come back."""
        limits = self.limits
        for shared, wanted in (
            ("held", "transfers.max_body"),
            ("held", "scrub.max_head"),
            ("outstanding", "transfers.max_bulk"),
        ):
            section, _, key = wanted.partition(".")
            most = int(int(getattr(limits, shared) * limits.share) * limits.share)
            if most < getattr(getattr(self, section), key):
                raise ValueError(
                    f"limits.{shared} is too small for {wanted}: at limits.share {limits.share} one credential has "
                    f"{most} of it. Raise limits.{shared}, or lower {wanted}"
                )
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
