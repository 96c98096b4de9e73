"""De-identification profiles as a server has them: asked for, added, applied, and what they did reported."""

from collections.abc import AsyncGenerator
from typing import Final

from mdm_async.client.one_or_many import Name, Names, Outcome, name_of, names_of, settle
from mdm_async.client.srm_reply import Reply
from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
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

    async def plan(self, name: str, directory: Name) -> Json:
        """What applying it would do: numbers of `images`, of `heads` to make, of images whose `pixels` would be
        read and rewritten, and their `pixelBytes`."""
        return await self._wire.operate(
            "POST", _path(name, "plan"), {"surl": name_of(directory)}, repeat=True
        )

    async def apply(self, name: str, directory: Name, *, default: bool = False) -> Json:
        """Have the views of all files below a directory made, now and of files to come; states as `progress`.

        `default`: the view is also what these files give to whoever names none.
        """
        asked = {"surl": name_of(directory), "default": default}
        return await self._wire.operate("POST", _path(name, "apply"), asked, repeat=True)

    async def progress(self, name: str, directory: Name) -> Json:
        """How many images below a directory are `ready`, `refused`, `quarantined` and `pending` in this view."""
        return await self._wire.operate(
            "POST", _path(name, "progress"), {"surl": name_of(directory)}, repeat=True
        )

    async def release(self, name: str, paths: Names) -> None:
        """Let views out of quarantine."""
        surls, outcomes = names_of(paths), list[Outcome[None]]()
        for start in range(0, len(surls), BATCH):
            asked = {"surls": surls[start : start + BATCH]}
            answer = Reply(await self._wire.operate("POST", _path(name, "release"), asked))
            outcomes += [Outcome(file["surl"], None, error) for file, error in answer.files()]
        settle(paths, outcomes)

    async def report(self, path: Name) -> Json:
        """What was done to a file, or to each below a directory: the profile in force, and of each of `files` what went
        (`touched`) and what `stayed`, by attribute and rule."""
        return await self._wire.operate("POST", "admin/v1/report", {"surl": name_of(path)}, repeat=True)

    async def certificate(self, path: Name) -> str:
        """What was done to a view of a file, or of all below a directory, signed by the server: a text to be kept as
        it is."""
        answer = await self._wire.operate(
            "POST", "admin/v1/certificate", {"surl": name_of(path)}, repeat=True
        )
        return str(answer["certificate"])

    async def survivors(self, path: Name) -> AsyncGenerator[Json, None]:
        """The texts left in a view of a file, or of all below a directory, page by page: numbers of `files` that were
        looked at and of those `withheld`, `total` on the first page, and `attributes` with their `texts` and counts.
        """
        asked: Json = {"surl": name_of(path), "after": None}
        while True:
            page = await self._wire.operate("POST", "admin/v1/survivors", asked, repeat=True)
            yield page
            if page["after"] is None:
                return
            asked["after"] = page["after"]


def _path(name: str, verb: str = "") -> str:
    return f"admin/v1/profiles/{parse_view(name)}{verb and '/' + verb}"
