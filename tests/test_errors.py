"""Problem types: what programs choose by, so they never change and no two classes share one."""

from collections.abc import Iterator

from mdm_async import errors
from mdm_async.errors import MdmError

TYPES = {
    "MdmError": "urn:mdm:error:failed",
    "BadRequest": "urn:mdm:error:bad-request",
    "BadPath": "urn:mdm:error:bad-path",
    "BadQuery": "urn:mdm:error:bad-query",
    "IsADirectory": "urn:mdm:error:is-a-directory",
    "Unauthenticated": "urn:mdm:error:unauthenticated",
    "Forbidden": "urn:mdm:error:forbidden",
    "InsecureChannel": "urn:mdm:error:insecure-channel",
    "NotFound": "urn:mdm:error:not-found",
    "NoParent": "urn:mdm:error:no-parent",
    "UnknownRequest": "urn:mdm:error:unknown-request",
    "MethodNotAllowed": "urn:mdm:error:method-not-allowed",
    "Exists": "urn:mdm:error:exists",
    "NotEmpty": "urn:mdm:error:not-empty",
    "NotADirectory": "urn:mdm:error:not-a-directory",
    "NotAcceptable": "urn:mdm:error:not-acceptable",
    "BadGateway": "urn:mdm:error:bad-gateway",
    "Busy": "urn:mdm:error:busy",
    "ViewPending": "urn:mdm:error:view-pending",
    "ViewRefused": "urn:mdm:error:view-refused",
    "NotOnline": "urn:mdm:error:not-online",
    "Gone": "urn:mdm:error:gone",
    "TooLarge": "urn:mdm:error:too-large",
    "UriTooLong": "urn:mdm:error:uri-too-long",
    "VersionNotSupported": "urn:mdm:error:version-not-supported",
    "UnsupportedMediaType": "urn:mdm:error:unsupported-media-type",
    "ExpectationFailed": "urn:mdm:error:expectation-failed",
    "HeadTooLarge": "urn:mdm:error:head-too-large",
    "NotDicom": "urn:mdm:error:not-dicom",
    "Truncated": "urn:mdm:error:truncated",
    "Malformed": "urn:mdm:error:malformed",
    "Aborted": "urn:mdm:error:aborted",
    "PeerFailed": "urn:mdm:error:peer-failed",
    "WrongContent": "urn:mdm:error:wrong-content",
    "BadSeal": "urn:mdm:error:bad-seal",
    "TooManyRequests": "urn:mdm:error:too-many-requests",
    "NotSupported": "urn:mdm:error:not-supported",
    "InfiniteDepth": "urn:mdm:error:infinite-depth",
    "OnAnotherHost": "urn:mdm:error:on-another-host",
    "Damaged": "urn:mdm:error:damaged",
    "Lost": "urn:mdm:error:lost",
    "LostHere": "urn:mdm:error:lost-here",
    "Unavailable": "urn:mdm:error:unavailable",
    "DatabaseBusy": "urn:mdm:error:database-busy",
    "DatabaseReadOnly": "urn:mdm:error:database-read-only",
    "Unreachable": "urn:mdm:error:unreachable",
    "Untrusted": "urn:mdm:error:untrusted",
    "Conflict": "urn:mdm:error:conflict",
    "LockLost": "urn:mdm:error:lock-lost",
    "Locked": "urn:mdm:error:locked",
    "PreconditionFailed": "urn:mdm:error:precondition-failed",
    "Sealed": "urn:mdm:error:sealed",
    "WrongKeks": "urn:mdm:error:wrong-keks",
    "SourceAway": "urn:mdm:error:source-away",
    "SourceBusy": "urn:mdm:error:source-busy",
    "NoSpace": "urn:mdm:error:no-space",
    "DatabaseFull": "urn:mdm:error:database-full",
    "CacheFull": "urn:mdm:error:cache-full",
    "CacheTooSmall": "urn:mdm:error:cache-too-small",
    "Fenced": "urn:mdm:error:fenced",
    "IsMirror": "urn:mdm:error:is-mirror",
    "MirrorNotHeard": "urn:mdm:error:mirror-not-heard",
    "UnsafeSettings": "urn:mdm:error:unsafe-settings",
}


def every_kind(kind: type[MdmError] = MdmError) -> Iterator[type[MdmError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from every_kind(child)


def test_every_error_has_the_type_that_it_always_had() -> None:
    """A class that is new comes into the list; one that is renamed keeps its type."""
    named = {kind.__name__: kind.urn for kind in every_kind() if kind.__module__ == errors.__name__}
    assert named == TYPES


def test_no_two_errors_share_a_type() -> None:
    types = [kind.urn for kind in every_kind()]
    assert len(types) == len(set(types))
