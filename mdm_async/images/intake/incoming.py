"""The pixels of an image on its way in: looked into, and cleaned copies made beside them, while they stream by."""

from contextlib import suppress
from dataclasses import dataclass, field

from mdm_async.dicom.pixels import plan as pixel_plan
from mdm_async.dicom.pixels.cleaning import PixelCleaner
from mdm_async.dicom.pixels.description import Description, PixelFacts
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.dicom.pixels.plan import ORIGINAL, PixelPlan
from mdm_async.dicom.profile import Profile
from mdm_async.dicom.refusals import of_picture, reasons
from mdm_async.errors import MdmError

_NOTHING_SEEN = PixelFacts(present=False, value_length=0, encapsulated=False, findings=())


@dataclass(frozen=True, slots=True, repr=False)
class Expected:
    """What the head tells of the pixels before they come: pure work, off the event loop."""

    about: Description
    transfer_syntax: str
    plans: tuple[PixelPlan, ...]
    """Of the profiles under which the view is not refused for what the head says."""

    @classmethod
    def of(cls, head: bytes, profiles: list[Profile]) -> "Expected":
        """Raises Malformed."""
        about, sop_class, transfer_syntax = pixel_plan.describe(head)
        plans = []
        for profile in profiles:
            plan = pixel_plan.plan(about, sop_class, transfer_syntax, profile)
            against = (
                *reasons(about, sop_class, transfer_syntax, _NOTHING_SEEN, plan, profile),
                *of_picture(about, sop_class, plan, profile, pixels=True),
            )
            if not against:
                plans.append(plan)
        return cls(about, transfer_syntax, tuple(plans))

    @property
    def shares_original(self) -> bool:
        """Whether some view will want the pixels as they are; only then they lie under the image's own secret."""
        return any(plan.variant == ORIGINAL for plan in self.plans)


@dataclass(slots=True, repr=False)
class IncomingPixels:
    """Fed the pixels once; gives what is to be written for each cleaned variant."""

    inspector: Inspector
    expected: Expected | None
    """None when the head could not be read so far: no view can be made."""
    cleaners: dict[str, PixelCleaner] = field(default_factory=dict)

    @classmethod
    def begin(cls, head: bytes | None, transfer_syntax: str, profiles: list[Profile]) -> "IncomingPixels":
        """`head` is None when it was too large to be kept."""
        expected = None
        if head is not None:
            with suppress(MdmError):  # scrubbing will say what is wrong with it
                expected = Expected.of(head, profiles)
        incoming = cls(Inspector(transfer_syntax, expected.about if expected is not None else None), expected)
        for plan in expected.plans if expected is not None else ():
            if plan.variant != ORIGINAL and not plan.whole and plan.variant not in incoming.cleaners:
                assert expected is not None
                incoming.cleaners[plan.variant] = PixelCleaner(plan, expected.about, transfer_syntax)
        return incoming

    def feed(self, data: bytes | memoryview) -> dict[str, bytes]:
        """By variant, its next bytes."""
        self.inspector.feed(data)
        return {variant: cleaner.feed(data) for variant, cleaner in self.cleaners.items()}

    def close(self) -> dict[str, bytes]:
        return {variant: cleaner.close() for variant, cleaner in self.cleaners.items()}
