"""The If header (RFC 4918 §10.4): what must be so, or the request fails; and which locks' tokens it shows. If-Match."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mdm_async.errors import BadRequest, MdmError, NotFound, PreconditionFailed
from mdm_async.web.dav.asked import Asked
from mdm_async.web.http import ranges
from mdm_async.web.http.named import DAV, destination_of

_MOST: Final = 64
"""Lists in one header; each may be of another name."""
_TOKENS: Final = re.compile(
    r"\s*(?:(?P<open>\()|(?P<close>\))|(?P<not>[Nn][Oo][Tt]\b)|<(?P<uri>[^<>\s]*)>|\[(?P<etag>[^\]]*)\])"
)
_LOCK: Final = re.compile(
    r"(?:urn:uuid:|opaquelocktoken:)([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\Z"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """Of a resource: that it has this lock (`state`), or this entity tag."""

    negated: bool
    state: str | None = None
    etag: str | None = None

    @property
    def token(self) -> UUID | None:
        return lock_token(self.state) if self.state is not None else None


@dataclass(frozen=True, slots=True)
class Listed:
    """Conditions of which all must hold; `of` None: of what the request is about."""

    of: str | None
    conditions: tuple[Condition, ...]


def lock_token(text: str) -> UUID | None:
    """Of a lock's URI; None when no lock of ours could have that."""
    found = _LOCK.match(text)
    return UUID(found[1]) if found is not None else None


def parse(header: str) -> list[Listed]:
    """Raises BadRequest."""
    lists: list[Listed] = []
    of: str | None = None
    inside: list[Condition] | None = None
    negated, at = False, 0
    header = header.strip()
    while at < len(header):
        found = _TOKENS.match(header, at)
        if found is None:
            raise _malformed()
        at = found.end()
        if inside is None:
            if found["uri"] is not None:
                of = found["uri"]
            elif found["open"]:
                inside = []
            else:
                raise _malformed()
        elif found["close"]:
            if negated or not inside or len(lists) == _MOST:
                raise _malformed()
            lists.append(Listed(of, tuple(inside)))
            inside = None
        elif found["not"]:
            if negated:
                raise _malformed()
            negated = True
        elif found["open"]:
            raise _malformed()
        else:
            inside.append(Condition(negated, found["uri"], found["etag"]))
            negated = False
    if inside is not None or not lists:
        raise _malformed()
    return lists


async def demand_match(asked: Asked) -> None:
    """Return when what is to be changed still has an entity tag that the request names (If-Match, RFC 9110 §13.1.1):
    nobody else has changed it since the client read it. Raises PreconditionFailed.
    """
    told = asked.request.headers.getall("If-Match", ())
    if not told:
        return
    try:
        etag = (await asked.house.opened.open(asked.caller, asked.named.surl)).warm.served.etag
    except NotFound:
        raise PreconditionFailed("there is nothing here that could match") from None
    except MdmError:
        etag = ""  # none that this caller may know, but it is there
    if not ranges.matches(told, etag, weak=False):
        raise PreconditionFailed("it is not what the If-Match header says", remedy="read it again")


async def shown(asked: Asked) -> frozenset[UUID]:
    """Tokens of the caller's locks that the request shows, when what it says is so.

    Raises PreconditionFailed when none of its lists holds, before anything is said of locks; BadRequest.
    """
    header = ",".join(asked.request.headers.getall("If", ()))
    if not header:
        return frozenset()
    lists = parse(header)
    names = [_surl(asked, one.of) for one in lists]
    known = [name for name in names if name is not None]
    tags: dict[str, str | None] = {}
    # Its names are looked up as those of a bulk request are: one header may have many.
    async with asked.turn(len(known)):
        over = dict(zip(known, await asked.house.locking.tokens_over(asked.caller, known), strict=True))
        for one, name in zip(lists, names, strict=True):
            if name is None:
                continue
            if name not in tags and any(condition.etag is not None for condition in one.conditions):
                tags[name] = await _etag(asked, name)
            if _hold(one.conditions, over[name], tags.get(name)):
                return await asked.house.locking.shown(asked.caller, _tokens(lists))
    raise PreconditionFailed("nothing of what the If header lists is so")


def _tokens(lists: Iterable[Listed]) -> set[UUID]:
    every = {condition.token for one in lists for condition in one.conditions if not condition.negated}
    return {token for token in every if token is not None}


async def _etag(asked: Asked, surl: str) -> str | None:
    """None: there is none that this caller may know."""
    try:
        return (await asked.house.opened.open(asked.caller, surl)).warm.served.etag
    except MdmError:
        return None


def _hold(conditions: Sequence[Condition], over: frozenset[UUID], etag: str | None) -> bool:
    for one in conditions:
        is_so = one.token in over if one.etag is None else etag is not None and one.etag.strip() == etag
        if is_so is one.negated:
            return False
    return True


def _surl(asked: Asked, of: str | None) -> str | None:
    """None: of another server, of which nothing is so."""
    if of is None:
        return asked.named.surl
    named = destination_of(asked.request, of, DAV, "If")
    return named.surl if named is not None else None


def _malformed() -> BadRequest:
    return BadRequest(
        f"the If header is malformed, or has more than {_MOST} lists", remedy='send it as "If: (<token>)"'
    )
