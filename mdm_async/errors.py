"""Every way a request can fail, by name.

Each error knows its problem type (RFC 9457), by which programs choose what to do, its HTTP status (RFC 9110), and
its SRM v2.2 status code. Titles are for people and may change; types may not.
`detail` names the thing and what was wrong with it, `remedy` what to do. Neither ever carries patient data,
a name that a user typed, a key or a token: they are shown to callers and logged.

Those that Python has a name for are that too: `except FileNotFoundError` catches NotFound. Where `except OSError` is
meant for the system's own errors and one of these could come out of the same block, it is let through first.
"""

import re
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the audit keeps of a refused access: who wanted which right on what."""

    principal: str
    right: str
    view: str | None = None
    guid: UUID | None = None


class MdmError(Exception):
    """A request that failed in a way its caller can understand."""

    is_refusal: ClassVar[bool] = False
    """Errors of this class are in the audit, whether or not a right was looked at."""

    urn: ClassVar[str] = "urn:mdm:error:failed"
    """The problem type. Of every other class it is made of the class's name: `urn:mdm:error:not-found`."""
    http: ClassVar[int] = 500
    srm: ClassVar[str] = "SRM_FAILURE"
    title: ClassVar[str] = "request failed"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "urn" not in vars(cls):
            cls.urn = "urn:mdm:error:" + re.sub(r"\B(?=[A-Z])", "-", cls.__name__).lower()

    def __init__(self, detail: str = "", *, remedy: str = "", retry_after: int | None = None) -> None:
        self.detail = detail or self.title
        self.remedy = remedy
        self.retry_after = retry_after
        self.refusal: Refusal | None = None
        """Set where a right was missing, whatever the caller is told."""
        super().__init__(f"{self.detail}; {remedy}" if remedy else self.detail)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross from scrubbing processes; keyword-only fields would be lost by the default.
        return (_rebuild, (type(self), self.detail, self.remedy, self.retry_after))


def _rebuild(kind: type[MdmError], detail: str, remedy: str, retry_after: int | None) -> MdmError:
    return kind(detail, remedy=remedy, retry_after=retry_after)


class BadRequest(MdmError):
    http, srm, title = 400, "SRM_INVALID_REQUEST", "the request is malformed"


class BadPath(BadRequest):
    is_refusal = True
    title = "the path is malformed"


class BadQuery(BadRequest):
    title = "the query cannot be read"


class IsADirectory(BadRequest, IsADirectoryError):
    title = "this is a directory"


class Unauthenticated(MdmError, PermissionError):
    is_refusal = True
    http, srm, title = 401, "SRM_AUTHENTICATION_FAILURE", "no valid credential was presented"


class Forbidden(MdmError, PermissionError):
    is_refusal = True
    http, srm, title = 403, "SRM_AUTHORIZATION_FAILURE", "this caller may not do that"


class InsecureChannel(Forbidden):
    title = "this needs TLS or the loopback"


class IsMirror(MdmError, PermissionError):
    """The directory is a copy of another site's, or another site's has taken its place: nobody changes it here."""

    http, srm, title = 403, "SRM_AUTHORIZATION_FAILURE", "nothing is changed in a mirror"


class NotFound(MdmError, FileNotFoundError):
    http, srm, title = 404, "SRM_INVALID_PATH", "no such file or directory"


class NoParent(NotFound):
    """The directory that would hold a new name is not there, or hidden."""

    title = "the parent directory does not exist"


class UnknownRequest(MdmError):
    http, srm, title = 404, "SRM_INVALID_REQUEST", "no such request"


class MethodNotAllowed(MdmError):
    http, srm, title = 405, "SRM_NOT_SUPPORTED", "what is there does not take this method"


class NotAcceptable(MdmError):
    """What is there is in none of the forms that are asked for."""

    http, srm, title = 406, "SRM_NOT_SUPPORTED", "it cannot be had in a form that is asked for"


class Exists(MdmError, FileExistsError):
    http, srm, title = 409, "SRM_DUPLICATION_ERROR", "the name is already taken"


class NotEmpty(MdmError):
    http, srm, title = 409, "SRM_NON_EMPTY_DIRECTORY", "the directory is not empty"


class NotADirectory(MdmError, NotADirectoryError):
    http, srm, title = 409, "SRM_INVALID_PATH", "a part of the path is not a directory"


class Busy(MdmError):
    http, srm, title = 409, "SRM_FILE_BUSY", "another transfer holds the file"


class ViewPending(MdmError):
    http, srm, title = 409, "SRM_FILE_UNAVAILABLE", "the view is not made yet"


class ViewRefused(MdmError):
    http, srm, title = 409, "SRM_FILE_UNAVAILABLE", "the view of this image is refused"


class NotOnline(MdmError):
    """The file is known here, and its bytes are not: they lie at its source."""

    http, srm, title = 409, "SRM_FILE_UNAVAILABLE", "the file is not online"


class Gone(MdmError):
    is_refusal = True
    http, srm, title = 410, "SRM_FILE_LIFETIME_EXPIRED", "the transfer URL is no longer valid"


class Aborted(MdmError):
    http, srm, title = 409, "SRM_ABORTED", "the request was aborted"


class TooLarge(MdmError):
    http, srm, title = 413, "SRM_INVALID_REQUEST", "more was sent than may be"


class UriTooLong(TooLarge):
    http, title = 414, "the request's URL is too long"


class UnsupportedMediaType(MdmError):
    """What was sent is in a format or an encoding that is not taken."""

    http, srm, title = 415, "SRM_INVALID_REQUEST", "this is not taken in this format or encoding"


class ExpectationFailed(MdmError):
    http, srm, title = 417, "SRM_INVALID_REQUEST", "what the request expects is not known here"


class Conflict(MdmError):
    http, srm, title = 409, "SRM_FAILURE", "things are not as the request takes them to be"


class Fenced(Conflict):
    """What follows a mirrored directory was promoted, and takes nothing of the first any more."""

    title = "the mirror was promoted"


class PreconditionFailed(MdmError):
    http, srm, title = 412, "SRM_FAILURE", "a condition of the request does not hold"


class LockLost(PreconditionFailed):
    title = "there is no such lock any more"


class Locked(MdmError):
    """Somebody else keeps others from changing it (RFC 4918 §6)."""

    http, srm, title = 423, "SRM_FILE_BUSY", "it is locked"


class NotDicom(MdmError):
    http, srm, title = 422, "SRM_FAILURE", "not a DICOM Part 10 file"


class Truncated(NotDicom):
    title = "the DICOM file ends too early"


class Malformed(NotDicom):
    title = "the DICOM file is broken"


class WrongContent(MdmError):
    """What arrived is not what was announced (size, checksum, seal)."""

    http, srm, title = 422, "SRM_FAILURE", "the content is not what was announced"


class BadSeal(WrongContent):
    title = "the Crypt4GH stream does not open"


class TooManyRequests(MdmError):
    http, srm, title = 429, "SRM_INTERNAL_ERROR", "too many requests"


class HeadTooLarge(TooLarge):
    http, title = 431, "the request's head is too long"


class NotSupported(MdmError):
    http, srm, title = 501, "SRM_NOT_SUPPORTED", "the operation is not supported"


class VersionNotSupported(NotSupported):
    http, title = 505, "this version of HTTP is not spoken here"


class InfiniteDepth(MdmError):
    http, srm, title = 403, "SRM_NOT_SUPPORTED", "a directory is not listed with all below it"


class OnAnotherHost(NotSupported):
    """The request concerns another host as well, to which this one does not speak for it."""

    http, title = 502, "the Destination is on another host"


class PeerFailed(MdmError):
    """The other server of a third-party copy did not do its part; nothing that it said is repeated."""

    http, srm, title = 502, "SRM_FAILURE", "the other server failed"


class Damaged(MdmError):
    """What is stored of an image is not what was stored: changed, or moved to another place."""

    http, srm, title = 500, "SRM_FAILURE", "what is stored of this file is damaged"

    def __init__(
        self, detail: str = "", *, remedy: str = "run mdm fsck", retry_after: int | None = None
    ) -> None:
        super().__init__(detail, remedy=remedy, retry_after=retry_after)


class Lost(Damaged):
    """What was stored of an image is gone, or some of it, while its store is there, and nothing else has it."""

    http, srm, title = 410, "SRM_FILE_LOST", "what was stored of this file is lost"


class Unavailable(MdmError):
    """Something behind the server is away for now; the same request may succeed later."""

    http, srm, title = 503, "SRM_INTERNAL_ERROR", "a service behind this one is away"


class LostHere(Unavailable):
    """As Lost, of what an archive or a replica has, or what is made again."""

    http, srm, title = (
        503,
        "SRM_FILE_UNAVAILABLE",
        "what was stored of this file is lost here, and lies elsewhere",
    )


class DatabaseBusy(Unavailable):
    """The catalog's database is there and answers, and has no time for this now."""

    title = "the catalog's database is busy"


class MirrorNotHeard(Unavailable):
    """The server was started, and does not know yet whether its mirror was promoted meanwhile."""

    title = "the directory's mirror was not heard yet"


class DatabaseReadOnly(Unavailable):
    """The catalog's database answers, and takes no changes: after a failover, say, or by its configuration."""

    title = "the catalog's database takes no changes"


class Sealed(Unavailable):
    """The server runs, and has no key-encryption key until enough of its custodians have come."""

    title = "the server is sealed"


class WrongKeks(Unavailable):
    """Key-encryption keys that do not open what they should."""

    title = "the key-encryption keys are others"


class BadGateway(Unavailable):
    """What stands before the server has not reached it; only clients raise it."""

    http, title = 502, "a proxy cannot reach the server"


class Unreachable(Unavailable, ConnectionError):
    """The server does not answer, or the connection to it was cut; only clients raise it."""

    title = "the server cannot be reached"


class Untrusted(Unreachable):
    """The server's certificate is not that of a server to trust; only clients raise it."""

    title = "the server's certificate is not trusted"


class NoSpace(MdmError):
    http, srm, title = 507, "SRM_NO_FREE_SPACE", "no space is left for this upload"


class CacheFull(NoSpace):
    """All that was brought from archives is in use; the same request may succeed later."""

    title = "there is no room for more images from archives"


class CacheTooSmall(CacheFull):
    """The file alone takes more than `cache.quota`."""

    title = "the file takes more than there may be of all images from archives"


class DatabaseFull(Unavailable):
    """As NoSpace, of what the catalog's database writes; reads of what is prepared go on."""

    http, srm, title = 507, "SRM_NO_FREE_SPACE", "the disk of the catalog's database is full"


class SourceAway(Unavailable):
    """An archive of the hospital's does not answer, or not as it should; the same request may succeed later."""

    http, srm, title = 503, "SRM_FILE_UNAVAILABLE", "the archive cannot be reached"


class SourceBusy(SourceAway):
    """An archive has no time for a request (429, 503), and may well answer another."""

    title = "the archive is busy"


class UnsafeSettings(MdmError):
    """The settings would serve patient data unsafely, or contradict each other; the server does not start."""

    http, srm, title = 500, "SRM_INTERNAL_ERROR", "the settings are unsafe"


class ScrubRefused(Exception):
    """The de-identified view of this image cannot be made; str(self) is the reason, free of patient data.

    `quarantined`: a person who looks at the pixels may still let it out.
    """

    def __init__(self, reason: str, *, quarantined: bool = False) -> None:
        super().__init__(reason)
        self.quarantined = quarantined

    def __reduce__(self) -> tuple[object, ...]:
        return (_refused, (str(self), self.quarantined))


def _refused(reason: str, quarantined: bool) -> ScrubRefused:
    return ScrubRefused(reason, quarantined=quarantined)
