"""Cohorts: files pinned in the versions of their views, made, shown, compared, pulled and verified."""

from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from mdm_async.client import cohort_download
from mdm_async.client.download import Downloaded
from mdm_async.client.one_or_many import LocalPath, Name, Names, name_of, names_of, settle
from mdm_async.client.side_by_side import PARALLEL, Meter
from mdm_async.client.told_errors import Json
from mdm_async.cohort_manifest import Manifest, PinnedFile
from mdm_async.errors import WrongContent

if TYPE_CHECKING:
    from mdm_async.client.client import Client

_PATH: Final = "cohorts/v1"


@dataclass(frozen=True, slots=True)
class Member:
    """`state`: `available`, `withdrawn`, `shredded` or `lost`. `file`: None for who may not read it."""

    number: int
    state: str
    path: str | None
    """Where its entry lies today, for who may list it."""
    file: PinnedFile | None
    told: Json = field(repr=False, compare=False)
    """In the manifest's words."""

    @classmethod
    def parse(cls, told: Json) -> Self:
        try:
            said = dict(told["file"])
            file = PinnedFile(**said) if "guid" in said else None
            return cls(int(told["number"]), str(told["state"]), told["path"], file, said)
        except (KeyError, TypeError, ValueError):
            raise WrongContent("the server's answer about a cohort is not understood") from None


class Cohorts:
    """`mdm.cohorts`. A cohort's path is that of the directory it lies at, and behind it its name."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    async def create(
        self,
        cohort: Name,
        query: str | None = None,
        *,
        files: Names | None = None,
        path: Name | None = None,
        joins: Mapping[str, Name] | None = None,
        view: str | None = None,
    ) -> Json:
        """Pin what a query finds at and below `path` (default: the cohort's directory), or files; what was signed.

        `view`: of those that name none; default: each one's default view. `joins`: as of `mdm.meta.find`.
        """
        asked: Json = {"surl": name_of(cohort), "view": view}
        if files is not None:
            asked["files"] = names_of(files)
        if query is not None:
            by_alias = {alias: name_of(one) for alias, one in (joins or {}).items()}
            asked |= {"query": query, "path": None if path is None else name_of(path), "joins": by_alias}
        return await self._ask("create", asked)

    async def listing(self, directory: Name) -> list[Json]:
        """Those at a directory: name, GUID, view, number of members, when and by whom they were made."""
        asked: Json = {"surl": name_of(directory), "cursor": None}
        found: list[Json] = []
        while True:
            page = await self._ask("list", asked, repeat=True)
            found += page["cohorts"]
            if page["cursor"] is None:
                return found
            asked["cursor"] = page["cursor"]

    async def show(self, cohort: Name) -> Json:
        """What was signed (`statement`), the `query` and the `path` where it was asked, for who may know them, and how
        many members are in which of the `states`."""
        return await self._ask("show", {"surl": name_of(cohort)}, repeat=True)

    async def members(self, cohort: Name) -> AsyncGenerator[Member, None]:
        """In their order, page by page."""
        asked: Json = {"surl": name_of(cohort), "after": -1}
        while asked["after"] is not None:
            page = await self._ask("members", asked, repeat=True)
            for told in page["members"]:
                yield Member.parse(told)
            asked["after"] = page["after"]

    async def manifest(self, cohort: Name, keys: Collection[bytes] | None = None) -> Manifest:
        """The signed manifest, as far as the caller may read its members. WrongContent unless it is as it was signed,
        by one of `keys` (Ed25519 public keys) if they are given."""
        shown = await self.show(cohort)
        said = [member.told async for member in self.members(cohort)]
        return Manifest.verified(shown["statement"], said, keys)

    async def diff(self, cohort: Name) -> Json:
        """What its query, or list, would give now, by GUIDs: `added`, `gone`, `changed`; how many are the `same`."""
        return await self._ask("diff", {"surl": name_of(cohort)}, repeat=True)

    async def delete(self, cohort: Name) -> None:
        """What it alone pinned goes."""
        await self._client.wire.operate("POST", f"{_PATH}/delete", {"surl": name_of(cohort)})

    async def get(
        self,
        cohort: Name,
        folder: LocalPath,
        *,
        keys: Collection[bytes] | None = None,
        sealed: bool | None = None,
        pin: int | None = None,
        parallel: int = PARALLEL,
        meter: Meter | None = None,
    ) -> dict[str, Downloaded]:
        """Pull all members into a folder, as GUID.dcm, the same bytes whenever it is asked for; by `guid:…`.

        The manifest is verified first, and each file against it. What is there already, and verified, is not pulled
        again; what was cut goes on. SomeFailed tells of members that are not available any more, or may not be read.
        """
        shown = await self.show(cohort)
        members = [member async for member in self.members(cohort)]
        Manifest.verified(shown["statement"], [member.told for member in members], keys)
        wanted = cohort_download.Wanted(name_of(cohort), sealed, pin)
        outcomes = await cohort_download.get_all(
            self._client, members, Path(folder), wanted, parallel=parallel, meter=meter
        )
        return settle([], outcomes)

    async def _ask(self, verb: str, asked: Json, *, repeat: bool = False) -> Json:
        return await self._client.wire.operate("POST", f"{_PATH}/{verb}", asked, repeat=repeat)
