"""Replicas: where else copies of images lie, as a server knows them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from mdm_async.client.one_or_many import Name, Names, Outcome, name_of, names_of, settle
from mdm_async.client.srm_reply import Reply
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire

BATCH: Final = 1000
"""Replicas named in one request."""
_PATH: Final = "catalog/v1/replicas"


@dataclass(frozen=True, slots=True)
class Replica:
    """A copy of a file's view at `url`."""

    url: str
    view: str
    master: bool
    told: Json = field(repr=False, compare=False)
    """In the server's words: also who added it when."""

    @classmethod
    def parse(cls, told: Json) -> Self:
        return cls(told["url"], told["view"], told["master"], told)


class Replicas:
    """`mdm.replicas`. Where none of a file's is the master, the server's own copy is."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def listing(self, paths: Names) -> dict[str, list[Replica]]:
        """Those of each file."""
        surls, outcomes = names_of(paths), list[Outcome[list[Replica]]]()
        for start in range(0, len(surls), BATCH):
            asked = {"surls": surls[start : start + BATCH]}
            answer = Reply(await self._wire.operate("POST", f"{_PATH}/list", asked, repeat=True))
            for file, error in answer.files():
                found = [Replica.parse(told) for told in file.get("replicas", [])]
                outcomes.append(Outcome(file["surl"], found, error))
        return settle(paths, outcomes)

    async def add(self, path: Name, urls: str | Sequence[str]) -> None:
        """Tell of copies of a file; of several URLs, SomeFailed says which could not be taken."""
        await self._change("add", name_of(path), urls)

    async def remove(self, path: Name, urls: str | Sequence[str]) -> None:
        """Forget copies of a file; nothing is deleted where they lie."""
        await self._change("remove", name_of(path), urls)

    async def set_master(self, path: Name, url: str | None) -> None:
        """Say which copy is the master; None: the server's own."""
        await self._change("master", name_of(path), url)

    async def _change(self, verb: str, surl: str, urls: str | Sequence[str] | None) -> None:
        many = [urls] if urls is None or isinstance(urls, str) else list(dict.fromkeys(urls))
        outcomes = list[Outcome[None]]()
        for start in range(0, len(many), BATCH):
            batch = many[start : start + BATCH]
            asked = {"replicas": [{"surl": surl, "url": url} for url in batch]}
            answer = Reply(await self._wire.operate("POST", f"{_PATH}/{verb}", asked))
            errors = [error for _, error in answer.files()]
            outcomes += [Outcome(url or "", None, error) for url, error in zip(batch, errors, strict=True)]
        settle("" if urls is None else urls, outcomes)
