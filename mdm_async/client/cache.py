"""What a server keeps of images that archives have: how full it is, and what is let go of it."""

from collections.abc import AsyncGenerator
from typing import Final

from mdm_async.client.one_or_many import Names, Outcome, names_of, settle
from mdm_async.client.srm_reply import Reply
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire

_PATH: Final = "admin/v1/cache"
_BULK: Final = 1000


class Cache:
    """`mdm.cache`: for administrators."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def status(self) -> Json:
        """Bytes of the `quota` (None: there is none), `used`, `inFlight`, `evictable`, and `kept`, by the reason; those
        that are pinned by whose pins (`pinnedBy`: of who keeps the most; what several pinned counts for each); how many
        `images`; `hits` and `misses` of the node that was asked, since it started. With `more`, not all images were
        looked at to tell what is evictable and kept.
        """
        return await self._wire.operate("GET", _PATH)

    async def evict(self, paths: Names, *, dry_run: bool = False) -> dict[str, Json]:
        """Let go of the bytes of files that their archives have; of each how many `bytes` went, 0 of what was not kept
        or never goes. `dry_run`: only tell. Busy tells of a file that is in use."""
        surls, outcomes = names_of(paths), list[Outcome[Json]]()
        for start in range(0, len(surls), _BULK):
            asked: Json = {"surls": surls[start : start + _BULK], "dry": dry_run}
            answer = Reply(await self._wire.operate("POST", f"{_PATH}/evict", asked, repeat=True))
            outcomes += [Outcome(file["surl"], file, error) for file, error in answer.files()]
        return settle(paths, outcomes)

    async def make_room(
        self, size: int | None = None, *, dry_run: bool = False
    ) -> AsyncGenerator[Json, None]:
        """Let go of so many bytes (None: of all that may go), the least recently used first. Page by page how many
        `images` and `bytes` went, and how many images stay (`kept`), by the reason."""
        after: str | None = None
        freed = 0
        while size is None or freed < size:
            asked: Json = {"dry": dry_run}
            if size is not None:
                asked["bytes"] = size - freed
            if after is not None:
                asked["after"] = after
            page = await self._wire.operate("POST", f"{_PATH}/room", asked)
            yield page
            freed, after = freed + page["bytes"], page["after"]
            if after is None:
                return
