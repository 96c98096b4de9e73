"""PROPFIND (RFC 4918 §9.1): what is known of an entry, and of those in a directory.

A directory is told of page by page as it is read, so that it may have any number of entries: neither this server nor
the database holds more than a page of them, and a reader who goes away ends it.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

from aiohttp import web

from mdm_async.errors import InfiniteDepth, MdmError
from mdm_async.images.budget import Held
from mdm_async.images.names import listing
from mdm_async.images.names.listing import NOTHING, Detail, Page
from mdm_async.web.dav import multistatus, properties
from mdm_async.web.dav.asked import Asked
from mdm_async.web.dav.beside import Beside
from mdm_async.web.dav.document import document
from mdm_async.web.dav.wanted import Wanted
from mdm_async.web.http import problem
from mdm_async.web.http.reply import reply

_PAGE = 500
_PAGE_BYTES = 1 << 20
"""What a page takes in memory, as rows and as text."""


async def propfind(asked: Asked) -> web.StreamResponse:
    depth = asked.depth
    wanted = Wanted.of(await document(asked, "propfind"))
    if depth == "infinity":
        # RFC 4918 §9.1 lets a server refuse it: what is below may be a million entries.
        own = await _read(asked, NOTHING)
        if own.entry.is_directory:
            raise InfiniteDepth(remedy="ask with 'Depth: 1', directory by directory")
    elif depth == "0":
        own = await _read(asked, NOTHING)
    else:
        return await _with_children(asked, wanted)
    return await _reply(asked, wanted, own)


async def _with_children(asked: Asked, wanted: Wanted) -> web.StreamResponse:
    with asked.house.budget.holding(asked.caller.payer, _PAGE_BYTES) as held:
        own = await _read(asked, Page(_PAGE))
        beside = await Beside.of(asked, wanted, [own, *own.children])
        _hold(held, beside)
        if own.last is None:
            return _told(asked, wanted, own, beside)
        return await _stream(asked, wanted, own, held)


def _hold(held: Held, beside: Beside) -> None:
    """What is told of a page lies in memory as text, encoded, and on its way. Raises TooManyRequests."""
    held.grow_to(_PAGE_BYTES + 3 * beside.size)


async def _reply(asked: Asked, wanted: Wanted, own: Detail) -> web.StreamResponse:
    return _told(asked, wanted, own, await Beside.of(asked, wanted, [own]))


def _told(asked: Asked, wanted: Wanted, own: Detail, beside: Beside) -> web.Response:
    told = _own(asked, wanted, own, beside) + _children(asked, wanted, own, beside)
    body = f"{multistatus.BEGIN}{told}{multistatus.END}"
    return reply(asked.request, body.encode(), multistatus.KIND, 207)


async def _stream(asked: Asked, wanted: Wanted, first: Detail, held: Held) -> web.StreamResponse:
    answer = web.StreamResponse(status=207, headers={"Cache-Control": "no-store"})
    answer.content_type = multistatus.KIND
    await answer.prepare(asked.request)
    try:
        beside = await Beside.of(asked, wanted, [first])
        await answer.write(f"{multistatus.BEGIN}{_own(asked, wanted, first, beside)}".encode())
        async for page in _pages(asked, first):
            beside = await Beside.of(asked, wanted, page.children)
            _hold(held, beside)
            await answer.write(_children(asked, wanted, page, beside).encode())
        await answer.write(multistatus.END.encode())
        await answer.write_eof()
    except ConnectionError:
        raise
    except Exception as error:
        # The status is out: only a cut connection tells the client that entries are missing.
        problem.log(error)
        if asked.request.transport is not None:
            asked.request.transport.abort()
        raise ConnectionResetError("the listing broke off") from error
    return answer


async def _pages(asked: Asked, page: Detail) -> AsyncIterator[Detail]:
    yield page
    while page.last is not None:
        page = await _read(asked, replace(Page(_PAGE), after=page.last))
        yield page


async def _read(asked: Asked, page: Page) -> Detail:
    house, caller = asked.house, asked.caller
    async with asked.turn(first=not page.after):
        ((_, found),) = await listing.ls(
            house.database, house.shelf, caller, [asked.named.surl], page, modes=True
        )
    if isinstance(found, MdmError):
        raise found
    return found


def _own(asked: Asked, wanted: Wanted, own: Detail, beside: Beside) -> str:
    named = asked.named
    return _response(named.as_directory if own.entry.is_directory else named.path, wanted, own, beside)


def _children(asked: Asked, wanted: Wanted, page: Detail, beside: Beside) -> str:
    child = asked.named.child
    return "".join(
        _response(child(one.entry.name, directory=one.entry.is_directory), wanted, one, beside)
        for one in page.children
    )


def _response(href: str, wanted: Wanted, detail: Detail, beside: Beside) -> str:
    known = properties.of(detail) | beside.properties(href, detail)
    return multistatus.response(href, wanted.chosen(known, properties.unknown(detail)))
