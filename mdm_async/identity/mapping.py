"""The mapping file: which groups of this site a principal belongs to.

```toml
[groups]
radiology = ["dn:/C=DE/O=Hospital/CN=Ada", "sub:https://issuer.example#7f3a"]
"trials/liver" = ["fqan:/biomed/liver/Role=curator", "group:https://issuer.example#/liver"]
```

An ACL names such a group as `group:local#/radiology`. Principals are compared letter by letter; groups do not hold
groups. A file that is broken at start is refused; one that breaks later leaves what was known in force.
"""

import asyncio
import os
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import structlog

from mdm_async.errors import UnsafeSettings
from mdm_async.names import LOCAL_GROUP, Caller

_log = structlog.get_logger()

_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*\Z")
_KINDS = ("dn:", "fqan:", "sub:", "group:", "user:")
_LOOKED_AT_EVERY = 0.25
_MAX_BYTES = 1 << 20

Members = dict[str, frozenset[str]]
"""The groups of each principal that has any."""

_Seen = tuple[int, int, int]
"""By what a changed file is known: inode, size, time of change (ns)."""


class Mapping:
    """The groups in force. `generation` grows with every change taken up."""

    def __init__(self, path: Path | None) -> None:
        """Raises UnsafeSettings, with the reason, when the file cannot be used."""
        self._path = path
        self._members: Members = {}
        self._seen: _Seen | None = None
        self.generation = 0
        self._reader = ThreadPoolExecutor(1, "mapping")
        if path is not None:
            self._seen, self._members = _read(path)

    def __repr__(self) -> str:
        return f"<Mapping of {len(self._members)} principals, generation {self.generation}>"

    def apply(self, caller: Caller) -> Caller:
        """The caller with the groups that the file gives their principals, and no other local ones."""
        own = {one for one in caller.principals if not one.startswith(LOCAL_GROUP)}
        groups = [self._members[one] for one in own if one in self._members]
        principals = frozenset(own.union(*groups))
        if principals == caller.principals and self.generation == caller.generation:
            return caller
        return replace(caller, principals=principals, generation=self.generation)

    async def watch(self) -> None:
        """Take up changes of the file, for ever."""
        while self._path is not None:
            await asyncio.sleep(_LOOKED_AT_EVERY)
            await self.refresh()

    async def refresh(self) -> None:
        """Look at the file once; a changed one that cannot be used is logged and leaves things as they are."""
        if self._path is None:
            return
        seen = _look(self._path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            loop = asyncio.get_running_loop()
            self._seen, members = await loop.run_in_executor(self._reader, _read, self._path)
        except UnsafeSettings as why:
            _log.error("the mapping file is broken; the groups stay as they were", reason=why.detail)
            return
        if members != self._members:
            self._members = members
            self.generation += 1


def _look(path: Path) -> _Seen | None:
    try:
        return _signature(path.stat())
    except OSError:
        return None


def _signature(found: os.stat_result) -> _Seen:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path) -> tuple[_Seen, Members]:
    try:
        with path.open("rb") as file:
            # Before reading: what changes meanwhile is found by the next look.
            seen = _signature(os.fstat(file.fileno()))
            content = file.read(_MAX_BYTES + 1)
    except OSError as why:
        raise UnsafeSettings(f"the mapping file {path} cannot be read: {why.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise UnsafeSettings(f"the mapping file {path} is larger than {_MAX_BYTES} bytes")
    try:
        return seen, _members(tomllib.loads(content.decode()))
    except UnicodeDecodeError:
        raise UnsafeSettings(f"the mapping file {path} is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as why:
        raise UnsafeSettings(f"the mapping file {path} is not TOML: {why}") from None
    except ValueError as why:
        raise UnsafeSettings(f"the mapping file {path}: {why}") from None


def _members(tree: dict[str, object]) -> Members:
    """Raises ValueError with the reason."""
    groups = tree.pop("groups", {})
    if tree:
        raise ValueError(f"'{next(iter(tree))}' is unknown; the file has one table, [groups]")
    if not isinstance(groups, dict):
        raise ValueError("groups is not a table; write [groups]")
    members: dict[str, set[str]] = {}
    for group, principals in groups.items():
        if not _GROUP.match(group):
            raise ValueError(
                f"the group '{group}' has a malformed name; use letters, digits, '.', '_', '-', and '/' between parts"
            )
        if not isinstance(principals, list):
            raise ValueError(f"the group '{group}' is not a list of principals")
        for principal in principals:
            _refuse_malformed(group, principal)
            members.setdefault(principal, set()).add(LOCAL_GROUP + group)
    return {principal: frozenset(found) for principal, found in members.items()}


def _refuse_malformed(group: str, principal: object) -> None:
    if not isinstance(principal, str) or not principal.startswith(_KINDS):
        raise ValueError(
            f"the group '{group}' has a member that is no principal: {principal!r}; "
            f"principals begin with {', '.join(_KINDS)}"
        )
    if principal in _KINDS or not principal.isprintable():
        raise ValueError(f"the group '{group}' has a malformed member: {principal!r}")
    if principal.startswith(LOCAL_GROUP):
        raise ValueError(
            f"the group '{group}' has a group of this file as a member: {principal!r}; list its members"
        )
