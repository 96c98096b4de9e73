"""The requests of the Tape REST API that have a body."""

from pydantic import BaseModel, ConfigDict, Field

from mdm_async.web.http.fields import Many, SurlText, Text
from mdm_async.web.tape import disk_lifetime


class _Request(BaseModel):
    # Clients send metadata for tape systems that they know (targetedMetadata): it is passed over.
    model_config = ConfigDict(extra="ignore", frozen=True)


class StageFile(_Request):
    path: SurlText
    diskLifetime: Text | None = Field(None, max_length=64)  # noqa: N815


class Stage(_Request):
    files: Many[StageFile] = Field(min_length=1)

    def pin(self) -> int | None:
        """Seconds: the longest that is asked for. Raises BadRequest."""
        asked = {one.diskLifetime for one in self.files if one.diskLifetime is not None}
        return max((disk_lifetime.seconds(text) for text in asked), default=None)


class Paths(_Request):
    paths: Many[SurlText] = Field(min_length=1)
