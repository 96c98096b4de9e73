"""Byte ranges (RFC 9110 §14): what a Range header asks for, and whether its If-Range still holds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_SPEC = re.compile(r"bytes\s*=\s*(.+)\Z", re.IGNORECASE)
_ONE = re.compile(r"([0-9]*)-([0-9]*)\Z")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes start ≤ i < stop of something of `size` bytes."""

    start: int
    stop: int
    size: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


class Unsatisfiable(Exception):
    """No byte asked for exists: 416 with `Content-Range: bytes */size`."""


def parse(header: str | None, size: int, most: int) -> list[Span] | None:
    """The spans asked for, ascending and coalesced; None when the whole is to be sent.

    A malformed header, or one with more than `most` ranges, is ignored. Raises Unsatisfiable.
    """
    match = _SPEC.match(header or "")
    if match is None:
        return None
    specs = [spec.strip() for spec in match[1].split(",") if spec.strip()]
    if not specs or len(specs) > most:
        return None
    spans = []
    for spec in specs:
        one = _ONE.match(spec)
        if one is None or not (one[1] or one[2]) or len(spec) > 64:
            return None
        first, last = one[1], one[2]
        if not first:
            start, stop = max(size - int(last), 0), size
        else:
            start, stop = int(first), min(int(last) + 1, size) if last else size
            if last and int(last) < start:
                return None
        if start < stop:
            spans.append(Span(start, stop, size))
    if not spans:
        raise Unsatisfiable
    return _coalesced(spans)


def _coalesced(spans: list[Span]) -> list[Span]:
    if len(spans) == 1:
        return spans
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: s.start):
        if merged and span.start <= merged[-1].stop:
            merged[-1] = Span(merged[-1].start, max(merged[-1].stop, span.stop), span.size)
        else:
            merged.append(span)
    return merged


def matches(lines: Iterable[str], etag: str, *, weak: bool) -> bool:
    """Whether lists of entity tags (If-Match, If-None-Match) name `etag`; `weak` comparison or strong."""
    header = ",".join(lines)
    if header.strip() == "*":
        return True
    tags = re.findall(r'(W/)?("[^"]*")', header)
    return any(tag == etag and (weak or not prefix) for prefix, tag in tags)


def range_applies(if_range: str | None, etag: str) -> bool:
    """If-Range: a strong tag that is still the same. A date never is, for we send none."""
    return if_range is None or if_range.strip() == etag
