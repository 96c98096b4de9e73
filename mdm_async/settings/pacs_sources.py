"""The sections `[[pacs.sources]]`: archives of the hospital's that images are registered at and fetched from."""

from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator, model_validator

from mdm_async.hours import Hours
from mdm_async.loopback import is_loopback
from mdm_async.settings.sections import Section, read_secret


class PacsSourceSettings(Section):
    """One archive, which is read from and never written to."""

    name: str = Field(pattern="^[a-z][a-z0-9_-]{0,62}$", description="what commands and the audit call it")
    dicomweb: str = Field(description="base URL of its DICOMweb services: https://pacs.example.org/dicom-web")
    plain: bool = Field(
        False, description="identities may cross the network unencrypted: http:// off the loopback"
    )
    token_file: Path | None = Field(None, description="file that holds the bearer token that is shown to it")
    token: SecretStr | None = Field(None, description="the bearer token itself")
    max_associations: int = Field(4, ge=1, le=256, description="requests to it at once, from each node")
    max_rate: float = Field(0, ge=0, description="requests to it a second, from each node; 0: any")

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
    def _is_a_url(cls, given: str) -> str:
        url = urlsplit(given)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise ValueError("must be http(s)://host[:port][/path] and nothing more")
        if url.username or url.password:
            raise ValueError("holds a credential; put it in token_file")
        return given.rstrip("/")

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
        except (ValueError, OSError):
            raise ValueError(
                f"time_zone {self.time_zone!r} is not known here: write its name as Europe/Berlin"
            ) from None

    @model_validator(mode="after")
    def _is_confidential(self) -> Self:
        url = urlsplit(self.dicomweb)
        if url.scheme == "http" and not is_loopback(url.hostname or "") and not self.plain:
            raise ValueError(
                "patients' images and names would cross the network unencrypted: give its https URL, or set "
                "plain = true if that network is the hospital's own and closed"
            )
        return self
