"""An archive of the test's own."""

from collections.abc import AsyncIterator

import pytest

from tests.pacs.sources.fake_archive import FakeArchive, fake_archive


@pytest.fixture
async def archive() -> AsyncIterator[FakeArchive]:
    async with fake_archive() as running:
        yield running
