"""The answer of an SRM operation: a status for the request, and one for each file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import orjson

from mdm_async.client.told_errors import Json, error_from_status
from mdm_async.errors import MdmError, WrongContent


@dataclass(frozen=True, slots=True)
class Reply:
    """A parsed answer; the request as a whole was understood."""

    body: Json

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Raises the request's own error when no file has one, WrongContent when it is no SRM answer."""
        try:
            body = orjson.loads(content)
            status = body["returnStatus"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise WrongContent(
                "the server's answer is not SRM's", remedy="is MDM_URL the URL of an mdm server?"
            ) from None
        error = error_from_status(status)
        if error is not None and not body.get("files"):
            raise error
        return cls(body)

    @property
    def token(self) -> str | None:
        return self.body.get("requestToken")

    def files(self) -> Iterator[tuple[Json, MdmError | None]]:
        """Each file's answer and, if it failed, its error."""
        for file in self.body.get("files") or []:
            yield file, error_from_status(file.get("status") or {})

    def demand_all(self) -> None:
        """Raises the first file's error, if any failed."""
        for _, error in self.files():
            if error is not None:
                raise error

    def only(self) -> Json:
        """The answer for the one file asked about; raises its error."""
        for file, error in self.files():
            if error is not None:
                raise error
            return file
        raise WrongContent("the server did not answer for the file that was asked for")
