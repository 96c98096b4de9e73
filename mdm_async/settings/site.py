"""The section of what the site tells of itself."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from mdm_async.settings.sections import Section


class SiteSettings(Section):
    """What the site tells of itself: in the storage report, and where its Tape REST API is found."""

    name: str | None = Field(
        None, min_length=1, max_length=200, description="the site's name; default: the host of its URL"
    )
    quality: Literal["development", "testing", "pre-production", "production"] = Field(
        "production", description="the storage report's qualitylevel"
    )

    def called(self, url: str) -> str:
        """The site's name, at this URL of the server's."""
        return self.name or urlsplit(url).hostname or "mdm"
