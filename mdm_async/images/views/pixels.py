"""The stored pixels of one image: the original, and cleaned variants that de-identified views share."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.dicom.elements import EXPLICIT_LITTLE, Encoding
from mdm_async.dicom.pixels.cleaning import PixelCleaner
from mdm_async.dicom.pixels.description import Description
from mdm_async.dicom.pixels.frame_places import FramePlaces
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.plan import ORIGINAL, PixelEdits, PixelPlan
from mdm_async.errors import ScrubRefused
from mdm_async.images.parts.leases import Leases
from mdm_async.images.parts.pixels_writer import PixelsWriter
from mdm_async.images.parts.record import PartRecord
from mdm_async.images.parts.writer import WrittenPart
from mdm_async.images.reading import stream, view
from mdm_async.images.views.scrub_jobs import Decode
from mdm_async.images.views.workshop import Workshop
from mdm_async.keys.store import IDENTITY, IMAGE, Secrets

_COPY = "copy"
"""The variant of unchanged pixels whose original lies under the identity secret."""


@dataclass(slots=True, repr=False)
class Pixels:
    """What a new view can be given of an image's pixels. Only parts under the image's own secret are shared."""

    workshop: Workshop
    leases: Leases
    image: UUID
    secrets: Secrets
    original: WrittenPart
    about: Description | None
    """None when the head could not be read: then no view asks for anything."""
    transfer_syntax: str
    followed: bool
    """Bytes follow the pixels in the file."""
    shared: dict[str, PartRecord] = field(default_factory=dict)
    """By variant: what views share already, or can."""
    made: list[WrittenPart] = field(default_factory=list)
    """Variants that were written here."""

    def __post_init__(self) -> None:
        if self.original.row.secret == IMAGE:
            self.shared.setdefault(ORIGINAL, self.original.record)

    async def under(self, plan: PixelPlan) -> PartRecord:
        """The pixels as this plan wants them, written first if they are not there yet."""
        name = plan.variant if plan.variant != ORIGINAL or ORIGINAL in self.shared else _COPY
        if name not in self.shared:
            cleaner = None
            if plan.variant != ORIGINAL:
                assert self.about is not None
                cleaner = PixelCleaner(plan, self.about, self.transfer_syntax)
            self._add(name, await self._rewritten(name, IMAGE, cleaner))
        return self.shared[name]

    async def decoded(self, head: bytes, plan: PixelPlan, *, bulk: bool) -> tuple[PartRecord, PixelEdits]:
        """Compressed pixels decoded with regions blanked, and what that changes in the head."""
        limit = self.workshop.limits.max_decoded
        if self.original.record.size > limit:
            raise ScrubRefused("the compressed pixels are larger than scrub.max_decoded")
        scrubber = self.workshop.scrubber
        async with scrubber.decoding(bulk=bulk):
            whole = b"".join([bytes(piece) async for piece in self._stored()])
            edits, pieces = await scrubber.run(Decode(plan, head, whole, limit), bulk=bulk)
            if plan.hook is not None:
                layout = self._layout(dict(edits.values))
                pieces = [await self._hooked(plan.hook, layout, EXPLICIT_LITTLE, b"".join(pieces))]
            writer = self._writer(plan.variant, IMAGE)
            for piece in pieces:
                await writer.write(piece)
            written = await writer.finish(followed=self.followed)
        self.made.append(written)
        return written.record, edits

    async def defaced(self, plan: PixelPlan, *, bulk: bool) -> PartRecord:
        """Native pixels as the plan's hook gives them back, after all else that the plan wants."""
        assert plan.hook is not None
        assert self.about is not None
        if self.original.record.size > self.workshop.limits.max_decoded:
            raise ScrubRefused("the pixels are larger than scrub.max_decoded")
        async with self.workshop.scrubber.decoding(bulk=bulk):
            cleaner = PixelCleaner(plan, self.about, self.transfer_syntax)
            cleaned = b"".join(
                [
                    await self.workshop.cipher.run(partial(cleaner.feed, piece))
                    async for piece in self._stored()
                ]
            )
            element = await self._hooked(
                plan.hook, self._layout({}), self.about.encoding, cleaned + cleaner.close()
            )
            writer = self._writer(plan.variant, IMAGE)
            await writer.write(element)
            written = await writer.finish(followed=self.followed)
        self.made.append(written)
        return written.record

    async def _hooked(self, hook: str, layout: Layout, encoding: Encoding, element: bytes) -> bytes:
        """A native Pixel Data element with the frames that the hook gives back."""
        _, _, start, _ = encoding.header(element, 0, len(element))
        end = start + layout.total
        if len(element) < end:
            raise ScrubRefused("the pixels cannot be given to a hook: there are fewer than described")
        return (
            element[:start] + await self.workshop.hooks.run(hook, element[start:end], layout) + element[end:]
        )

    def _layout(self, edits: dict[int, bytes]) -> Layout:
        """How the pixels lie once these values describe them, for a plan without obstacles."""
        assert self.about is not None
        about = Description(self.about.encoding)
        for tag, value in (self.about.values | edits).items():
            about.note(tag, value)
        layout = Layout.of(about)
        assert layout is not None
        return layout

    async def hide_original(self) -> None:
        """Write the original anew under the identity secret: no view shares it."""
        old, self.original = self.original, await self._rewritten(ORIGINAL, IDENTITY, None)
        self.shared.pop(ORIGINAL, None)
        await self._forget(old)

    async def drop_unused(self, used: set[UUID]) -> list[Part]:
        """The rows of the variants made here that views use; the others' blobs go."""
        for written in self.made:
            if written.record.id not in used:
                await self._forget(written)
        return [row for written in self.made if written.record.id in used for row in written.rows]

    def _add(self, name: str, written: WrittenPart) -> None:
        self.shared[name] = written.record
        self.made.append(written)

    async def _rewritten(self, variant: str, secret_kind: str, cleaner: PixelCleaner | None) -> WrittenPart:
        writer = self._writer(variant, secret_kind)
        if cleaner and cleaner.looks_first:
            async for piece in self._stored():
                await self.workshop.cipher.run(partial(cleaner.look, piece))
        async for piece in self._stored():
            if cleaner:
                await writer.write(await self.workshop.cipher.run(partial(cleaner.feed, piece)))
            else:
                await writer.write(piece)
        if cleaner:
            await writer.write(cleaner.close())
        return await writer.finish(followed=self.followed)

    def _stored(self) -> AsyncGenerator[memoryview, None]:
        ready = view.of_part(self.image, self.original.row, self.original.record, self.secrets)
        return stream.clear(self.workshop.depot.blobs, ready, 0, ready.size)

    def _writer(self, variant: str, secret_kind: str) -> PixelsWriter:
        secret = self.secrets.of(secret_kind)
        places = FramePlaces.of(self.transfer_syntax, self.about)
        return PixelsWriter(
            self.workshop.depot, self.leases, self.image, secret_kind, secret, variant, places
        )

    async def _forget(self, written: WrittenPart) -> None:
        for row in written.rows:
            if row.blob is not None:
                await self.leases.discard(row.blob)
