"""Who the server takes the caller for."""

from dataclasses import dataclass, field
from typing import Self

from mdm_async.client.told_errors import Json, error_from_status
from mdm_async.errors import MdmError, WrongContent


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller's name and principals, and what they may do at the path that was asked about."""

    name: str
    credential: str
    principals: tuple[str, ...]
    until: str | None
    """When the credential ends; None: when it is revoked."""
    permission: str
    """Rights there, as letters of pdrwlxgsi."""
    error: MdmError | None
    """Why nothing can be said of the path."""
    told: Json = field(repr=False, compare=False)
    """In the server's words: also what the credential allows by itself."""

    @classmethod
    def parse(cls, told: Json) -> Self:
        """Raises WrongContent for an answer that misses something."""
        try:
            here = told["here"]
            return cls(
                name=str(told["name"]),
                credential=str(told["credential"]),
                principals=tuple(map(str, told["principals"])),
                until=told["until"],
                permission=str(here.get("permission") or ""),
                error=error_from_status(here["status"]),
                told=told,
            )
        except (KeyError, TypeError, AttributeError):
            raise WrongContent(
                "the server's answer is not understood", remedy="is it the URL of an mdm server?"
            ) from None
