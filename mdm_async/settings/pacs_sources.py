"""The sections `[[pacs.sources]]`: archives of the hospital's that images are registered at and fetched from."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator, model_validator

from mdm_async.hours import Hours
from mdm_async.loopback import is_loopback
from mdm_async.settings.ae_titles import AeTitle
from mdm_async.settings.networks import network_of
from mdm_async.settings.sections import Section, read_secret

_HOST: Final = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.%]+", re.ASCII)
_OF_DIMSE: Final = ("certificate", "host", "moves_from", "port", "retrieve", "tls")
Issuer = Annotated[str, Field(pattern=r"^[!-\[\]-~]([ -\[\]-~]{0,62}[!-\[\]-~])?$")]
"""A name of up to 64 printable ASCII characters, as Issuer of Patient ID (0010,0021) has it."""


class PacsSourceSettings(Section):
    """One archive, which is read from and never written to: by DICOMweb, or by DIMSE."""

    name: str = Field(pattern="^[a-z][a-z0-9_-]{0,62}$", description="what commands and the audit call it")
    dicomweb: str | None = Field(
        None, description="base URL of its DICOMweb services: https://pacs.example.org/dicom-web"
    )
    ae: AeTitle | None = Field(
        None, description="its AE title, instead of dicomweb: it is asked by C-FIND, as `pacs.ae_title`"
    )
    host: str = Field("", description="where it listens for associations: a name or an address")
    port: int = Field(104, ge=1, le=65535, description="port that it listens on for associations")
    retrieve: Literal["C-GET", "C-MOVE"] = Field(
        "C-GET",
        description="how images are fetched by DIMSE; it moves them to `pacs.ae_title` at `pacs.port`",
    )
    moves_from: tuple[str, ...] = Field(
        (), description="addresses, or networks of them, that it moves images from; default: host, an address"
    )
    tls: bool = Field(False, description="associations are secured by TLS")
    certificate: Path | None = Field(
        None, description="certificate (PEM) that it must show, by TLS; default: one that the system trusts"
    )
    plain: bool = Field(
        False,
        description="identities may cross the network unencrypted: without TLS off the loopback",
    )
    token_file: Path | None = Field(None, description="file that holds the bearer token that is shown to it")
    token: SecretStr | None = Field(None, description="the bearer token itself")
    max_associations: int = Field(4, ge=1, le=256, description="requests to it at once, from each node")
    max_rate: float = Field(0, ge=0, description="requests to it a second, from each node; 0: any")

    issuer: Issuer | None = Field(
        None, description="who issues the Patient IDs in what it has; equal IDs of others are other patients"
    )
    hours: str | None = Field(
        None, description="of each day, in which images are fetched and listed: 18:00-06:00; default: any"
    )
    time_zone: str | None = Field(
        None, description="whose clock the hours are by: Europe/Berlin; default: the server's own"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: Any) -> Any:
        return read_secret(given, "token")

    @field_validator("dicomweb")
    @classmethod
    def _is_a_url(cls, given: str | None) -> str | None:
        if given is None:
            return None
        url = urlsplit(given)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise ValueError("must be http(s)://host[:port][/path] and nothing more")
        try:
            port = url.port
        except ValueError:
            raise ValueError("its port is no number from 1 to 65535") from None
        if port == 0:
            raise ValueError("its port is no number from 1 to 65535")
        if url.username or url.password:
            raise ValueError("holds a credential; put it in token_file")
        return given.rstrip("/")

    @field_validator("host")
    @classmethod
    def _is_a_host(cls, given: str) -> str:
        if given and not _HOST.fullmatch(given):
            raise ValueError(f"{given!r} is no host: write its name or address alone, and its port in port")
        return given

    @field_validator("moves_from")
    @classmethod
    def _are_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        networks = [network_of(host) for host in given]
        if not all(one.prefixlen for one in networks):
            raise ValueError("every address there is may be anybody's; name those of the archive")
        return tuple(map(str, networks))

    @model_validator(mode="after")
    def _speaks_one_way(self) -> Self:
        if (self.dicomweb is None) == (self.ae is None):
            raise ValueError(
                "an archive is named by its dicomweb URL, or by its ae, host and port: one of them"
            )
        known = type(self).model_fields
        # What has its default is in what `mdm config show` prints, and says nothing.
        of_dimse = [name for name in _OF_DIMSE if getattr(self, name) != known[name].default]
        if self.dicomweb is not None and of_dimse:
            raise ValueError(f"{', '.join(of_dimse)}: of archives that speak DIMSE, and this has dicomweb")
        if self.ae is not None and not self.host:
            raise ValueError("an archive that speaks DIMSE needs host and port beside ae")
        if self.ae is not None and self.token is not None:
            raise ValueError(
                "token: DIMSE knows none; a certificate is shown instead, that of server.tls_cert"
            )
        if self.certificate is not None and not self.tls:
            raise ValueError("certificate: it is shown by TLS; set tls = true")
        return self

    @model_validator(mode="after")
    def _has_hours(self) -> Self:
        if self.time_zone is not None and self.hours is None:
            raise ValueError("time_zone is set, and no hours; set hours, or take it out")
        if self.hours is not None:
            Hours.parse(self.hours, self._zone)
        return self

    @property
    def open_hours(self) -> Hours | None:
        return Hours.parse(self.hours, self._zone) if self.hours is not None else None

    @property
    def _zone(self) -> ZoneInfo | None:
        try:
            return ZoneInfo(self.time_zone) if self.time_zone is not None else None
        except (ValueError, OSError, KeyError):
            raise ValueError(
                f"time_zone {self.time_zone!r} is not known here: write its name as Europe/Berlin"
            ) from None

    @model_validator(mode="after")
    def _is_confidential(self) -> Self:
        if self.plain:
            return self
        url = urlsplit(self.dicomweb or "")
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            raise ValueError(
                "patients' images and names would cross the network unencrypted: give its https URL, or set "
                "plain = true if that network is the hospital's own and closed"
            )
        if self.ae is not None and not self.tls and not is_loopback(self.host):
            raise ValueError(
                "patients' images and names would cross the network unencrypted: set tls = true, or plain = true if "
                "that network is the hospital's own and closed"
            )
        return self

    @model_validator(mode="after")
    def _is_known_when_it_calls(self) -> Self:
        if self.retrieve == "C-MOVE":
            try:
                _ = self.networks
            except ValueError:
                raise ValueError(
                    "moves_from: name the addresses that it moves images from; the name of its host is not looked up"
                ) from None
        return self

    @property
    def networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """That it moves images from. Raises ValueError when that is not told."""
        return [ipaddress.ip_network(host) for host in self.moves_from or (self.host,)]

    @property
    def secured(self) -> bool:
        return self.tls

    @property
    def associations(self) -> int:
        """Those that it may have at once, to move images."""
        return self.max_associations
