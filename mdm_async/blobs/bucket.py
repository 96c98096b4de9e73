"""The store in a bucket, where settings name one: few servers do, and what it takes is an extra."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from mdm_async.errors import UnsafeSettings
from mdm_async.settings import S3Settings

if TYPE_CHECKING:
    from mdm_async.blobs.s3.store import S3Blobs


def in_bucket(
    url: str, settings: S3Settings, pool: ThreadPoolExecutor
) -> "AbstractAsyncContextManager[S3Blobs]":
    """As `S3Blobs.connect`. Raises UnsafeSettings without the extra, too."""
    try:
        from mdm_async.blobs.s3.store import S3Blobs
    except ImportError as why:
        raise UnsafeSettings(
            "blobs.url needs the package obstore", remedy="pip install 'mdm_async[server,s3]'"
        ) from why
    return S3Blobs.connect(url, settings, pool)
