"""The operations of SRM v2.2 on names: ls, mkdir, rmdir, rm, mv."""

from mdm_async.errors import MdmError
from mdm_async.images.names import directories, listing, moving, removal
from mdm_async.images.names.listing import Detail
from mdm_async.images.parts import adler
from mdm_async.web.http import cursor
from mdm_async.web.srm import forms as form
from mdm_async.web.srm.context import Context
from mdm_async.web.srm.results import (
    Checksum,
    DirectoryMade,
    FileFacts,
    Files,
    Listed,
    PathDetail,
    Result,
    SurlStatus,
)


async def ls(context: Context, asked: form.Ls) -> Files[Listed]:
    found = await listing.ls(
        context.database,
        context.shelf,
        context.caller,
        asked.surls,
        asked.page(),
        modes=asked.fullDetailedList,
    )
    return Files.done(
        [
            Listed.failed(surl, one) if isinstance(one, MdmError) else Listed(surl=surl, detail=_detail(one))
            for surl, one in found
        ]
    )


def _detail(found: Detail) -> PathDetail:
    entry = found.entry
    return PathDetail(
        path=found.lfn,
        guid=entry.guid,
        created=entry.created,
        modified=entry.modified,
        file=None if entry.is_directory else _facts(found),
        modes=found.modes,
        below=tuple(_detail(child) for child in found.children),
        next_cursor=None if found.last is None else cursor.encode(found.last),
    )


def _facts(found: Detail) -> FileFacts:
    return FileFacts(
        locality=found.locality,
        view=found.view,
        view_state=found.state,
        view_reason=found.reason,
        size=found.size,
        checksum=None if found.adler32 is None else Checksum(adler.text(found.adler32)),
    )


async def mkdir(context: Context, asked: form.Mkdir) -> DirectoryMade:
    database = context.database
    guid = await directories.mkdir(database, context.caller, asked.surl, parents=asked.parents)
    return DirectoryMade(guid=guid)


async def rmdir(context: Context, asked: form.Rmdir) -> Result:
    lane = context.bulk if asked.recursive else context.database
    await removal.rmdir(lane, context.changed, context.caller, asked.surl, recursive=asked.recursive)
    return Result()


async def rm(context: Context, asked: form.Surls) -> Files[SurlStatus]:
    removed = await removal.rm(context.database, context.changed, context.caller, asked.surls)
    return Files.done([SurlStatus.of(surl, why) for surl, why in removed])


async def mv(context: Context, asked: form.Mv) -> Result:
    mover = moving.Mover(
        context.database, context.views, context.delivery, context.changed, context.name_guard, context.naming
    )
    await mover.mv(context.caller, asked.fromSURL, asked.toSURL)
    return Result()
