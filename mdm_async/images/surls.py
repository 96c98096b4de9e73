"""Callers' SURLs, thousands at once, as places in the namespace."""

from collections.abc import Sequence

from mdm_async.catalog import entries
from mdm_async.catalog.database import Connection
from mdm_async.catalog.entries import Place
from mdm_async.errors import BadRequest
from mdm_async.names import Surl, parse_surl


async def resolve(db: Connection, surls: Sequence[str]) -> list[tuple[Surl, Place] | BadRequest]:
    """Where each SURL leads, in one query for all; what is malformed as its error."""
    parsed = [_parse(text) for text in surls]
    places = iter(await entries.resolve(db, [surl.lfn for surl in parsed if isinstance(surl, Surl)]))
    return [(surl, next(places)) if isinstance(surl, Surl) else surl for surl in parsed]


def _parse(text: str) -> Surl | BadRequest:
    try:
        return parse_surl(text)
    except BadRequest as why:
        return why
