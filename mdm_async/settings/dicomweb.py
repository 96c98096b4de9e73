"""The section `[dicomweb]`: what DICOMweb is offered with."""

from urllib.parse import urlsplit

from pydantic import Field, field_validator

from mdm_async.loopback import is_loopback
from mdm_async.settings.sections import Section


class DicomwebSettings(Section):
    directory: str = Field(
        "/dicomweb",
        description="directory under which what STOW-RS stores lands; it takes the right 'w' there",
    )
    template: str = Field(
        "{patient}/{study}/{series}/{instance}.dcm",
        description="path below the directory, in the language of `mdm link`",
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        description="origins of viewers, such as https://viewer.example.org, whose scripts may ask DICOMweb with a"
        " bearer token",
    )

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            try:
                parts = urlsplit(one)
                is_origin = one == f"{parts.scheme}://{parts.netloc}" and parts.port != 0 and parts.hostname
            except ValueError:
                is_origin = False
            if not is_origin or parts.scheme not in ("http", "https") or "@" in one or one != one.lower():
                raise ValueError(f"{one!r} is no origin: write https://viewer.example.org, without a path")
            if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
                raise ValueError(
                    f"{one} is plain HTTP: anybody on its way could put a script into the viewer"
                )
        return given
