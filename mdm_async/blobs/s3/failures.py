"""What is said when the engine refuses or does not answer. Its own words name bucket and keys, and are not repeated."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from obstore.exceptions import AlreadyExistsError, BaseError

from mdm_async.errors import MdmError, NoSpace, Unavailable, UnsafeSettings

_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_FULL: Final = frozenset({"QuotaExceeded", "InsufficientCapacity", "XMinioStorageFull"})
RETRY_AFTER: Final = 10
"""Seconds after which a caller may ask again."""
_REMEDIES: Final = {
    "NoSuchBucket": ("the bucket of blobs.url does not exist", "make it, or correct blobs.url"),
    "InvalidAccessKeyId": (
        "the key s3.access_key is not known there",
        "correct s3.access_key, or s3.endpoint",
    ),
    "SignatureDoesNotMatch": (
        "the secret is not that of the key s3.access_key",
        "correct s3.secret_key_file; or s3.region, for which requests are signed",
    ),
    "AccessDenied": (
        "the key s3.access_key lacks a right",
        "let it list, read, write and delete in the bucket, all versions too, and list and abort multipart uploads",
    ),
    "RequestTimeTooSkewed": ("its clock and that of this machine are apart", "set the clocks, by NTP"),
    "AuthorizationHeaderMalformed": ("requests are signed for another region", "correct s3.region"),
    "PermanentRedirect": ("the bucket lies in another region", "correct s3.region, or s3.endpoint"),
}
AWAY: Final = "the blob store does not answer"


def code_of(text: str) -> str:
    """The error code in an answer; "" when there is none."""
    match = _CODE.search(text)
    return match[1] if match is not None else ""


def refused(store: object, code: str, status: int) -> UnsafeSettings:
    """Why a server does not start on it."""
    why, remedy = _REMEDIES.get(
        code, (f"it answers {status} {code}".rstrip(), "check blobs.url and the section [s3]")
    )
    return UnsafeSettings(f"{store} cannot be used: {why}", remedy=remedy)


def failure(code: str) -> MdmError:
    """Of a request while the server runs."""
    if code in _FULL:
        return NoSpace("the blob store is full", remedy="raise its quota, and upload again")
    if code in _REMEDIES:
        why, remedy = _REMEDIES[code]
        return Unavailable(f"the blob store refuses this server: {why}", remedy=remedy, retry_after=60)
    return Unavailable(
        AWAY, remedy="try again; whoever runs the server looks after it", retry_after=RETRY_AFTER
    )


@contextmanager
def told() -> Iterator[None]:
    """What obstore raises, as this house has it. FileNotFoundError and FileExistsError are for the caller to judge."""
    try:
        yield
    except FileNotFoundError:
        raise
    except AlreadyExistsError as why:
        raise FileExistsError from why
    except (BaseError, OSError) as why:  # its writers raise OSError, of whatever it was
        raise failure(code_of(str(why))) from why
