"""The operations of SRM v2.2: one table from name to request form and what runs it, whatever the wire."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from mdm_async import __version__
from mdm_async.web.srm import (
    copy_operations as copies,
)
from mdm_async.web.srm import (
    forms as form,
)
from mdm_async.web.srm import (
    name_operations as names,
)
from mdm_async.web.srm import (
    request_operations as requests,
)
from mdm_async.web.srm import (
    rights_operations as rights,
)
from mdm_async.web.srm import (
    space_operations as spaces,
)
from mdm_async.web.srm import (
    transfer_operations as transfers,
)
from mdm_async.web.srm.context import Context
from mdm_async.web.srm.results import (
    BringOnlineFile,
    GetFile,
    PutFile,
    Result,
    TransferProtocols,
    Version,
)


@dataclass(frozen=True, slots=True)
class Operation:
    form: type[BaseModel]
    run: Callable[[Context, Any], Awaitable[Result]]
    by_pieces: bool = False
    """It takes turns at its files by itself; all others have one turn as a whole."""


async def _ping(context: Context, asked: form.Nothing) -> Version:
    return Version(
        version="v2.2", other_info=(("backend_type", "mdm_async"), ("backend_version", __version__))
    )


async def _get_transfer_protocols(context: Context, asked: form.Nothing) -> TransferProtocols:
    return TransferProtocols(protocols=tuple(context.protocols))


OPERATIONS: dict[str, Operation] = {
    "ping": Operation(form.Nothing, _ping),
    "getTransferProtocols": Operation(form.Nothing, _get_transfer_protocols),
    "ls": Operation(form.Ls, names.ls),
    "mkdir": Operation(form.Mkdir, names.mkdir),
    "rmdir": Operation(form.Rmdir, names.rmdir),
    "rm": Operation(form.Surls, names.rm),
    "mv": Operation(form.Mv, names.mv),
    "checkPermission": Operation(form.Surls, rights.check_permission),
    "getPermission": Operation(form.GetPermission, rights.get_permission),
    "setPermission": Operation(form.SetPermission, rights.set_permission),
    "getSpaceTokens": Operation(form.SpaceTokens, spaces.get_space_tokens),
    "getSpaceMetaData": Operation(form.SpaceMetaData, spaces.get_space_meta_data),
    "prepareToPut": Operation(form.PrepareToPut, transfers.prepare_to_put, by_pieces=True),
    "statusOfPutRequest": Operation(form.OfRequest, requests.status_of("put", PutFile, requests.put_stands)),
    "putDone": Operation(form.PutDone, transfers.put_done),
    "prepareToGet": Operation(form.PrepareToGet, transfers.prepare_to_get, by_pieces=True),
    "statusOfGetRequest": Operation(form.OfRequest, requests.status_of("get", GetFile, requests.get_stands)),
    "bringOnline": Operation(form.PrepareToGet, transfers.bring_online, by_pieces=True),
    "statusOfBringOnlineRequest": Operation(
        form.OfRequest, requests.status_of("bring_online", BringOnlineFile, requests.bring_online_stands)
    ),
    "copy": Operation(form.Copy, copies.copy, by_pieces=True),
    "statusOfCopyRequest": Operation(form.OfCopy, copies.status_of_copy),
    "releaseFiles": Operation(form.Release, requests.release_files),
    "abortRequest": Operation(form.OfRequest, requests.abort),
    "abortFiles": Operation(form.AbortFiles, requests.abort),
    "extendFileLifeTime": Operation(form.Extend, requests.extend_file_life_time),
    "getRequestTokens": Operation(form.RequestTokens, requests.get_request_tokens),
    "getRequestSummary": Operation(form.RequestSummary, requests.get_request_summary),
}
