"""What every archive of the hospital's is asked for, whichever way it speaks."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.pacs.parts import Parts

Said = Mapping[str, Any]
"""What an archive says of a study, a series or an instance: the DICOM JSON model (PS3.18 §F.2)."""

PATIENCE: Final = 60.0
"""Seconds in which an archive must begin to answer; and over which it must keep the pace."""
QUERY_SECONDS: Final = 300.0
"""That the answer to a query may take."""
FETCH_SECONDS: Final = 86400.0
"""That an instance may take."""
MOST_IN_STUDY: Final = 200_000
"""Instances."""


class Source(Protocol):
    """One archive, which is read from and never written to. Everything raises SourceAway and PeerFailed.

    Whatever is a generator is to be closed: until then it holds one of the archive's places.
    """

    @property
    def name(self) -> str: ...

    @property
    def gives_series(self) -> bool:
        """Whether it can be asked for a series."""

    async def echo(self) -> float:
        """Seconds that it took to answer."""

    def studies(
        self, matching: Sequence[tuple[str, str]], *, begin: int, size: int
    ) -> AsyncGenerator[list[Said], None]:
        """The studies that match, by keyword and value, from that one on, page by page in the archive's order."""

    def instances(self, study: Said, modality: str | None, *, size: int) -> AsyncGenerator[list[Said], None]:
        """The instances of a study, of one modality if it is named, page by page."""

    def instance(self, source: PacsSource) -> AbstractAsyncContextManager[AsyncGenerator[bytes, None]]:
        """One as the archive keeps it, as a file, chunk by chunk.

        Raises NotFound when the archive says that it has none such; WrongContent when it sends another.
        """

    def series(self, source: PacsSource) -> AbstractAsyncContextManager[Parts]:
        """All instances of the series that this one is of, as `instance` has one, in the archive's order."""

    async def has(self, source: PacsSource) -> bool:
        """Whether the archive lists this instance."""
