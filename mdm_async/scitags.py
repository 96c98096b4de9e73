"""SciTags: numbers by which transfers say which experiment and activity they are for (scitags.org)."""

from contextvars import ContextVar

from prometheus_client import Counter

_SMALLEST, _LARGEST = 65, 65535
_LABELS = 64
"""Tags that are counted apart: who sends a number may send any."""

shown: ContextVar[int | None] = ContextVar("scitag", default=None)
"""Of the request that is being answered."""

_BYTES = Counter("mdm_scitag_bytes", "Bytes of files by SciTag, as they were sent", ["scitag", "direction"])
_counted: set[int] = set()


def parse(field: str | None) -> int | None:
    """What the header says; None when that is no tag, which refuses no transfer."""
    text = (field or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_LARGEST))):
        return None
    return int(text) if _SMALLEST <= int(text) <= _LARGEST else None


def details(tag: int | None) -> dict[str, int]:
    """For the audit."""
    return {} if tag is None else {"scitag": tag}


def count(tag: int | None, direction: str, size: int) -> None:
    """So many bytes have come `in` or gone `out`."""
    if tag is None:
        return
    if tag in _counted or len(_counted) < _LABELS:
        _counted.add(tag)
        _BYTES.labels(str(tag), direction).inc(size)
    else:
        _BYTES.labels("other", direction).inc(size)
