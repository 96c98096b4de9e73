"""Texts are read and held against identifiers off the event loop, in pieces: whoever asks for more waits longer, and
others' turns come between; a client that goes away ends it after the piece at hand."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from mdm_async.dicom.said import Said
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.names.own_identifiers import identifiers_in

READ: Final = 8192
"""Characters that are read in one piece, some ten milliseconds of a core."""
HELD: Final = 1 << 22
"""Characters times identifiers that are held against each other in one piece, some milliseconds."""

Asked = tuple[Sequence[Said], str]
"""Texts, and the identifiers that they are held against, in lines."""
_T = TypeVar("_T")


async def read(cipher: CipherPool, texts: Iterable[str]) -> Mapping[str, Said]:
    """What each of these says, every directory above some of them read once."""
    found: dict[str, Said] = {}
    directories: dict[str, Said] = {}
    for some in _pieces(dict.fromkeys(texts), len, READ):
        found |= await cipher.run(partial(_read, some, directories))
    return found


async def held(cipher: CipherPool, asked: Sequence[Asked]) -> list[list[int]]:
    """Which of the texts of each, by their place, reveal one of the identifiers."""
    found: list[list[int]] = []
    for some in _pieces(asked, _work, HELD):
        found += await cipher.run(partial(_held, some))
    return found


def _read(texts: Sequence[str], directories: dict[str, Said]) -> dict[str, Said]:
    found = {}
    for text in texts:
        directory, slash, name = text.rpartition("/")
        if slash and directory not in directories:
            directories[directory] = Said.of(directory)
        found[text] = Said.of(name, directories[directory]) if slash else Said.of(text)
    return found


def _work(asked: Asked) -> int:
    texts, identifiers = asked
    return sum(len(one.joined) for one in texts) * (identifiers.count("\n") + 1)


def _held(asked: Sequence[Asked]) -> list[list[int]]:
    found = []
    for texts, values in asked:
        identifiers = identifiers_in(values)
        found.append([at for at, one in enumerate(texts) if one.reveals(identifiers)])
    return found


def _pieces(all_: Iterable[_T], size: Callable[[_T], int], most: int) -> Iterator[list[_T]]:
    """At least one in each."""
    some: list[_T] = []
    left = most
    for one in all_:
        if some and size(one) > left:
            yield some
            some, left = [], most
        some.append(one)
        left -= size(one)
    if some:
        yield some
