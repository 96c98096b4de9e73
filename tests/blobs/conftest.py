"""One Ceph for all tests of blobs in buckets."""

from collections.abc import AsyncIterator

import pytest

from tests.ceph import Ceph, running_ceph


@pytest.fixture(scope="session")
async def ceph(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ceph]:
    async with running_ceph(tmp_path_factory.mktemp("ceph")) as running:
        yield running
