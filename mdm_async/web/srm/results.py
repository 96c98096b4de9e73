"""What the operations of SRM v2.2 answer, in the standard's words: the same whatever wire it goes out on.

A renderer makes one wire's form of it. What a field holds None of is not known, and left out on every wire. Times are
UTC, sizes bytes, lifetimes seconds. `surl` is always as the request named the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, Self, TypeVar
from uuid import UUID

from mdm_async.catalog.holdings.locality import Locality
from mdm_async.crypt4gh.layout import SealedPart
from mdm_async.errors import MdmError
from mdm_async.images.rights.modes import Mode, Seen
from mdm_async.images.rights.modes import Told as ToldInModes
from mdm_async.images.rights.permissions import Told
from mdm_async.images.shares import IMAGES, Share


@dataclass(frozen=True, slots=True)
class ReturnStatus:
    """TReturnStatus. `error`: what went wrong, unless it did in an earlier request, of which less is known."""

    code: str = "SRM_SUCCESS"
    explanation: str | None = None
    error: MdmError | None = None

    @classmethod
    def of(cls, error: MdmError) -> Self:
        return cls(error.srm, error.detail, error)


SUCCESS = ReturnStatus()
PARTIAL = "SRM_PARTIAL_SUCCESS"
QUEUED, IN_PROGRESS = "SRM_REQUEST_QUEUED", "SRM_REQUEST_INPROGRESS"


# One file of a request; each class stands for the standard's, which has its own name for the SURL.


@dataclass(frozen=True, slots=True, kw_only=True)
class SurlStatus:
    """TSURLReturnStatus: of rm, releaseFiles, abortFiles."""

    surl: str
    status: ReturnStatus = SUCCESS

    @classmethod
    def failed(cls, surl: str, why: MdmError) -> Self:
        return cls(surl=surl, status=ReturnStatus.of(why))

    @classmethod
    def of(cls, surl: str, why: MdmError | None) -> Self:
        return cls(surl=surl) if why is None else cls.failed(surl, why)


@dataclass(frozen=True, slots=True)
class Checksum:
    value: str
    kind: str = "ADLER32"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What TMetaDataPathDetail has for files alone; size and checksum are the view's, once it is ready."""

    locality: Locality | None = None
    storage_type: str = "PERMANENT"
    retention_policy: str = "CUSTODIAL"
    space_token: str = IMAGES
    view: str | None = None
    view_state: str | None = None
    view_reason: str | None = None
    size: int | None = None
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathDetail:
    """The rest of TMetaDataPathDetail. `file` is None for a directory."""

    path: str
    guid: UUID
    created: datetime
    modified: datetime
    file: FileFacts | None = None
    modes: Seen | None = None
    below: tuple["PathDetail", ...] = ()
    next_cursor: str | None = None
    """Where the next page of a directory begins."""

    @property
    def kind(self) -> Literal["FILE", "DIRECTORY"]:
        return "DIRECTORY" if self.file is None else "FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(SurlStatus):
    """TMetaDataPathDetail, with the status that it has in ls."""

    detail: PathDetail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """What a recipient checks a sealed stream against."""

    sender_public_key: bytes
    plain_size: int
    plain_checksum: Checksum
    parts: tuple[SealedPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetFile(SurlStatus):
    """TGetRequestFileStatus."""

    transfer_url: str | None = None
    size: int | None = None
    remaining_pin_time: int | None = None
    checksum: Checksum | None = None
    view: str | None = None
    sealed: Sealed | None = None
    sender_public_key: bytes | None = None
    """Of a sealed stream, where no more is told of it."""
    estimated_wait: int | None = None
    """Until it is online."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutFile(SurlStatus):
    """TPutRequestFileStatus."""

    transfer_url: str | None = None
    upload_recipient: bytes | None = None
    remaining_pin_time: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BringOnlineFile(SurlStatus):
    """TBringOnlineRequestFileStatus."""

    remaining_pin_time: int | None = None
    estimated_wait: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFile(SurlStatus):
    """TCopyRequestFileStatus; `surl` is the source."""

    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile(SurlStatus):
    """TSURLReturnStatus of putDone, and the name that the file has got."""

    guid: UUID | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedFile(SurlStatus):
    """TSURLLifetimeReturnStatus."""

    pin_lifetime: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPermission(SurlStatus):
    """TSURLPermissionReturn: letters of rights, what they come to as a mode, and the views that `r` covers."""

    permission: str | None = None
    mode: Mode | None = None
    views: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionDetail(SurlStatus):
    """TPermissionReturn: the rules, and what they say in modes."""

    told: Told | None = None
    modes: ToldInModes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionSet(SurlStatus):
    """TSURLReturnStatus of setPermission: how many entries' ACLs were changed, and left as they were."""

    changed: int | None = None
    left: int | None = None


# What an operation answers.


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer of an operation that has nothing more to tell."""

    status: ReturnStatus = SUCCESS
    errors: tuple[MdmError, ...] = ()
    """Why the request, or each of its files that failed, did so now."""

    @classmethod
    def failed(cls, why: MdmError) -> Self:
        return cls(status=ReturnStatus.of(why), errors=(why,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Version(Result):
    version: str
    other_info: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferProtocols(Result):
    protocols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryMade(Result):
    guid: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceTokens(Result):
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """TMetaDataSpace: a storage share. `share` is None where there is none of this token."""

    token: str
    status: ReturnStatus = SUCCESS
    share: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spaces(Result):
    spaces: tuple[Space, ...]


@dataclass(frozen=True, slots=True)
class RequestToken:
    token: UUID
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTokens(Result):
    tokens: tuple[RequestToken, ...]


@dataclass(frozen=True, slots=True)
class FileCounts:
    request_type: Literal["PREPARE_TO_GET", "PREPARE_TO_PUT", "BRING_ONLINE", "COPY"]
    total: int
    completed: int
    waiting: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSummary:
    """TRequestSummary."""

    token: str
    status: ReturnStatus = SUCCESS
    counts: FileCounts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSummaries(Result):
    summaries: tuple[RequestSummary, ...]


File = TypeVar("File", bound=SurlStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files(Result, Generic[File]):
    """The answer of a bulk request: every file's own status, and one for all of them."""

    files: tuple[File, ...] = ()
    request_token: str | None = None

    @classmethod
    def done(cls, files: Sequence[File], request_token: str | None = None) -> Self:
        """What became of the files in this request."""
        errors = tuple(file.status.error for file in files if file.status.error is not None)
        return cls(
            status=_waiting(files) or overall(len(files), errors),
            errors=errors,
            files=tuple(files),
            request_token=request_token,
        )

    @classmethod
    def standing(cls, files: Sequence[File], failed: int, request_token: str) -> Self:
        """How the files of an earlier request stand. Asking has succeeded, whatever became of them."""
        if (status := _waiting(files)) is not None:
            return cls(status=status, files=tuple(files), request_token=request_token)
        code = (PARTIAL if failed < len(files) else _all_failed(files)) if failed else SUCCESS.code
        return cls(status=ReturnStatus(code), files=tuple(files), request_token=request_token)


NO_SPACE = "SRM_NO_FREE_SPACE"


def _all_failed(files: Sequence[SurlStatus]) -> str:
    return NO_SPACE if {file.status.code for file in files} == {NO_SPACE} else "SRM_FAILURE"


def _waiting(files: Sequence[SurlStatus]) -> ReturnStatus | None:
    """The status of a request while some of its files wait: queued as a whole while nothing has begun."""
    codes = {file.status.code for file in files}
    if not codes & {QUEUED, IN_PROGRESS}:
        return None
    return ReturnStatus(QUEUED if codes == {QUEUED} else IN_PROGRESS)


def overall(files: int, errors: Sequence[MdmError]) -> ReturnStatus:
    """The status of a request of so many parts, of which those failed."""
    if not errors:
        return SUCCESS
    if len(errors) < files:
        return ReturnStatus(PARTIAL, f"{len(errors)} of {files} failed")
    if {error.srm for error in errors} in ({"SRM_INTERNAL_ERROR"}, {NO_SPACE}):
        return ReturnStatus.of(errors[0])
    if len(errors) == 1:
        return ReturnStatus("SRM_FAILURE", errors[0].detail, errors[0])
    return ReturnStatus("SRM_FAILURE", "every file failed")
