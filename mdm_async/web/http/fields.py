"""What the fields of request documents are made of: no text and no list is longer than it says here."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo

from mdm_async.errors import BadRequest
from mdm_async.names import MOST_SURL_BYTES
from mdm_async.settings import MOST_BULK

Element = TypeVar("Element")


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("text may not hold NUL")
    return text


def _short(text: str) -> str:
    if not text.isascii() and len(text.encode()) > MOST_SURL_BYTES:
        raise ValueError(f"a SURL has {MOST_SURL_BYTES} bytes at the most")
    return _storable(text)


def _few(given: Any, about: ValidationInfo) -> Any:
    """Looked at before the elements are. Raises BadRequest."""
    most = about.context["most"] if about.context is not None else MOST_BULK
    if isinstance(given, list) and len(given) > most:
        raise BadRequest(f"one request may name {most} files", remedy="split it")
    return given


Text = Annotated[str, StringConstraints(max_length=4096), AfterValidator(_storable)]
"""What the catalog can keep: Postgres takes no NUL."""

SurlText = Annotated[str, StringConstraints(max_length=MOST_SURL_BYTES), AfterValidator(_short)]

Many = Annotated[list[Element], Field(max_length=MOST_BULK), BeforeValidator(_few)]
"""As many as `transfers.max_bulk` lets one request name."""

Names = Annotated[list[Text], Field(max_length=100)]
"""Of views, principals, protocols."""
