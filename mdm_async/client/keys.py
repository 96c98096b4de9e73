"""The key store, as a server tells of it to administrators."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from mdm_async.client.one_or_many import Names, Outcome, names_of, settle
from mdm_async.client.srm_reply import Reply
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
from mdm_async.errors import WrongContent

_PATH: Final = "admin/v1/keys"
BATCH: Final = 1000
"""Files named in one request."""
_REKEYED: Final = 16
"""As that, where each of them is encrypted anew."""
_UNSEAL: Final = "admin/v1/keys/unseal"


class Keys:
    """`mdm.keys`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def status(self) -> Json:
        """Its databases, and how much is wrapped under which key-encryption key, in the server's words."""
        return await self._wire.operate("GET", _PATH)

    async def listing(self, paths: Names) -> dict[str, Json]:
        """Of each file's image, in the server's words: `registration`, `generation`, `locality`, and by store whether
        it has the key, or its share of it (None of one that is away). It takes `g`."""
        return await self._each("list", paths, repeat=True)

    async def register(self, paths: Names) -> dict[str, Json]:
        """As `listing`, once stores were given what they lacked, where enough others have it. It takes `s`."""
        return await self._each("register", paths, repeat=True)

    async def unregister(self, paths: Names) -> dict[str, Json]:
        """Destroy the keys of files' images, and all that is stored of them, for good; their names stay, and tell that
        the file is lost. It takes `d` and `i` on every name of an image."""
        return await self._each("unregister", paths, repeat=False)

    async def rekey(
        self,
        paths: Names,
        *,
        before: datetime | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> dict[str, Json]:
        """Give files' images other keys: all that is stored of them is encrypted anew, and no byte of any view changes.
        As `listing` without the stores, and `changed`: whether they are others now. It takes `w`.

        Images that have had their keys since `before` keep them: so what was cut off is gone on with. `on_progress` is
        told how many more files are done.
        """
        more = {"before": before.isoformat()} if before is not None else {}
        # What is done is not done again while the keys before wait for their readers.
        return await self._each("rekey", paths, more, batch=_REKEYED, repeat=True, on_progress=on_progress)

    async def _each(
        self,
        verb: str,
        paths: Names,
        more: Json | None = None,
        *,
        repeat: bool,
        batch: int = BATCH,
        on_progress: Callable[[int], None] | None = None,
    ) -> dict[str, Json]:
        surls, outcomes = names_of(paths), list[Outcome[Json]]()
        for start in range(0, len(surls), batch):
            asked = {"surls": surls[start : start + batch], **(more or {})}
            answer = Reply(await self._wire.operate("POST", f"{_PATH}/{verb}", asked, repeat=repeat))
            told = [Outcome(file["surl"], file, error) for file, error in answer.files()]
            outcomes += told
            if on_progress is not None:
                on_progress(len(told))
        return settle(paths, outcomes)

    async def shares(self) -> Json:
        """Which of its custodians' shares have come, by store; a sealed server tells that, too."""
        return await self._wire.operate("GET", _UNSEAL)

    async def unseal(self, share: str) -> Json:
        """Give it a share, as `mdm keys split` made it; as `shares`. WrongContent, Conflict, NotFound."""
        return await self._wire.operate("POST", _UNSEAL, {"share": share})

    async def forget_shares(self) -> Json:
        """Have it forget those that came and were not enough; as `shares`."""
        return await self._wire.operate("DELETE", _UNSEAL)

    async def rotate(self, gone: Sequence[str] = ()) -> Json:
        """Have all wrapped under new key-encryption keys, or go on with it; how far that is, as `status` says it.

        `gone`: nodes that will not come back. Conflict when the site keeps these keys and has no new one.
        """
        return await self._wire.operate("POST", f"{_PATH}/rotate", {"gone": list(gone)})


@contextmanager
def understood() -> Iterator[None]:
    """Around reading such an answer: another server's is WrongContent."""
    try:
        yield
    except (KeyError, TypeError, AttributeError):
        raise WrongContent(
            "the server's answer is not understood", remedy="is it the URL of an mdm server?"
        ) from None
