"""De-identification profiles as a server has them: asked for, added, applied, and what they did reported."""

from collections.abc import Sequence
from typing import Final

from mdm_async.client.answer import Answer
from mdm_async.client.answers import Json
from mdm_async.client.wire import Wire
from mdm_async.errors import MdmError
from mdm_async.names import parse_view

BATCH: Final = 1000
"""Files named in one request."""


class Profiles:
    """The operations on profiles. Names are of views: `basic`, or what an administrator added."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def listing(self) -> list[Json]:
        """Those in force: name, base, options, project, digest, who added them and when."""
        return list((await self._wire.operate("GET", "admin/v1/profiles"))["profiles"])

    async def show(self, name: str) -> Json:
        """One of them, with its `toml`. NotFound."""
        return await self._wire.operate("GET", _path(name))

    async def add(self, toml: str) -> Json:
        """Put a profile into force: its name and digest, that of the one it `replaced` or None, and `warnings`."""
        return await self._wire.operate("POST", "admin/v1/profiles", {"toml": toml})

    async def plan(self, name: str, directory: str) -> Json:
        """What applying it would do: numbers of `images`, of `heads` to make, of images whose `pixels` would be
        read and rewritten, and their `pixelBytes`."""
        return await self._wire.operate("POST", _path(name, "plan"), {"surl": directory}, repeat=True)

    async def apply(self, name: str, directory: str, *, default: bool = False) -> Json:
        """Have the views of all files below a directory made, now and of files to come; states as `progress`.

        `default`: the view is also what these files give to whoever names none.
        """
        asked = {"surl": directory, "default": default}
        return await self._wire.operate("POST", _path(name, "apply"), asked, repeat=True)

    async def progress(self, name: str, directory: str) -> Json:
        """How many images below a directory are `ready`, `refused`, `quarantined` and `pending` in this view."""
        return await self._wire.operate("POST", _path(name, "progress"), {"surl": directory}, repeat=True)

    async def release(self, name: str, surls: Sequence[str]) -> dict[str, MdmError | None]:
        """Let views out of quarantine; None for each that is out, or the reason why it is not."""
        outcomes: dict[str, MdmError | None] = {}
        for start in range(0, len(surls), BATCH):
            asked = {"surls": list(surls[start : start + BATCH])}
            answer = Answer(await self._wire.operate("POST", _path(name, "release"), asked))
            outcomes |= {file["surl"]: error for file, error in answer.files()}
        return outcomes

    async def report(self, surl: str) -> Json:
        """What was done to a file, or to each below a directory: `view`, `digest`, `revision`, `options`, `files`."""
        return await self._wire.operate("POST", "admin/v1/report", {"surl": surl}, repeat=True)


def _path(name: str, verb: str = "") -> str:
    return f"admin/v1/profiles/{parse_view(name)}{verb and '/' + verb}"
