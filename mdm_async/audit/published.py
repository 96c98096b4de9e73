"""Seals as they were published: lines of a file, or of a log that has words of its own before each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mdm_async.audit.seals import Seal
from mdm_async.errors import BadSeal


@dataclass(frozen=True, slots=True)
class Published:
    """One line; `seal` is None when it cannot be read."""

    line: int
    text: str
    seal: Seal | None


def read(lines: Iterable[str]) -> Iterator[Published]:
    """The seals in the order of their lines.

    A line torn by a crash is left out: it is the beginning of the next, which was then written whole.
    """
    torn: Published | None = None
    for number, line in enumerate(lines, 1):
        text = line[line.find("{") :].rstrip("\r\n\0 ")
        if "{" not in line or not text:
            continue
        found = Published(number, text, _parsed(text))
        if torn is not None and not text.startswith(torn.text):
            yield torn
        torn = None
        if found.seal is None:
            torn = found
        else:
            yield found
    if torn is not None:
        yield torn


def _parsed(text: str) -> Seal | None:
    try:
        return Seal.parse(text)
    except BadSeal:
        return None
