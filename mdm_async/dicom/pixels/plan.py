"""What must be done to an image's pixels before a profile's view may show them."""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Final, Self

from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.pixels import faces, ultrasound
from mdm_async.dicom.pixels import mask as pixel_mask
from mdm_async.dicom.pixels import regions as pixel_regions
from mdm_async.dicom.pixels.description import (
    EXTENDED_TABLE,
    PIXELS_REVISION,
    SOP_CLASS,
    WATCHED_BYTES,
    Description,
    PixelFacts,
    watched,
)
from mdm_async.dicom.pixels.frames import REPAIRED, WRONG_EXTENDED_TABLE
from mdm_async.dicom.pixels.inspector import NATIVE, can_be_cleaned
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.video.streams import SYNTAXES
from mdm_async.dicom.profile import PixelRule, Profile, Region
from mdm_async.dicom.profiles.kinds import Kind
from mdm_async.dicom.walking import walk

ORIGINAL: Final = "original"
"""The variant of pixels that nothing is done to."""


@dataclass(frozen=True)
class PixelEdits:
    """What decoding compressed pixels changes in the head, beside their offset tables, which go."""

    transfer_syntax: str
    values: tuple[tuple[int, bytes], ...]
    """(tag, encoded value of even length, little endian), ascending."""


@dataclass(frozen=True)
class PixelPlan:
    """Equal plans for one image give equal pixels."""

    regions: tuple[Region, ...] = ()
    """To be blanked in every frame; within the picture."""
    clear_unused: bool = False
    """Whether the bits of samples that are not the picture's are to be cleared."""
    cut: int | None = None
    """Bytes that the value of native pixels has at most, None when that cannot be told."""
    excess: bool = False
    """Whether it has more."""
    codestreams: bool = False
    """Whether what is no picture is to be overwritten in the codestreams."""
    reframe: bool = False
    """Whether frames are to be written anew, each as one fragment, behind a right offset table."""
    extended_table: bool = False
    """Whether the head's Extended Offset Table stays: it is that of the fragments as they come out."""
    decode: bool = False
    """Compressed pixels have to become native first."""
    trusted: bool = False
    """The profile says that this device burns nothing in."""
    settled_by: tuple[frozenset[int], ...] = ()
    """What each pixel rule asks for that blanks something of the picture, or trusts."""
    hook: str | None = None
    """The hook that is given the frames, after all else, to take faces away."""
    obstacles: tuple[str, ...] = ()
    """What would have to be done, and cannot be done exactly: reasons to refuse."""

    @property
    def variant(self) -> str:
        """`ORIGINAL`, or a name (40 characters at most) that, for one image, is equal exactly for equal changes."""
        if not (
            self.regions or self.clear_unused or self.excess or self.codestreams or self.reframe or self.hook
        ):
            return ORIGINAL
        # Whatever else is done, excess bytes go too: only where nothing else is done they make a difference.
        changes = (
            PIXELS_REVISION,
            self.regions,
            self.clear_unused,
            self.codestreams,
            self.reframe,
            self.decode,
        )
        if self.hook is not None:
            return "cleaned-" + sha256(repr((*changes, self.hook)).encode()).hexdigest()[:32]
        return "cleaned-" + sha256(repr(changes).encode()).hexdigest()[:32]

    @property
    def whole(self) -> bool:
        """Whether this cannot be done while the pixels stream by."""
        return self.decode or self.hook is not None

    @property
    def settles_burned_in(self) -> bool:
        """Whether the profile's pixel rules answer for text in the picture."""
        return self.trusted or bool(self.regions)

    def settles(self, kind: Kind) -> bool:
        """Whether a pixel rule answers for text in pictures of this kind: it asks for all by which they are known.

        A rule about a device, all of whose slices are clean, is not about the dose reports that it makes too.
        """
        return self.settles_burned_in and any(kind.tags <= asked for asked in self.settled_by)

    def after(self, facts: PixelFacts) -> Self:
        """The plan once all pixels have been seen: with what they hold beside the picture."""
        if not facts.present:
            return self
        found = facts.findings
        if facts.encapsulated:
            # What is decoded leaves everything else of its codestreams behind.
            decode = self.decode or pixel_mask.UNUSED_BITS in found
            reframe = not REPAIRED.isdisjoint(found)
            return replace(
                self,
                clear_unused=self.clear_unused or pixel_mask.UNUSED_BITS in found,
                codestreams=not decode and any(map(can_be_cleaned, found)),
                reframe=reframe,
                extended_table=not (decode or reframe or WRONG_EXTENDED_TABLE in found),
                decode=decode,
            )
        return replace(
            self,
            excess=self.cut is not None and facts.value_length > self.cut,
            clear_unused=self.clear_unused or pixel_mask.UNUSED_BITS in found,
        )

    def mends(self, finding: str) -> bool:
        """Whether nothing is left of what was found when this has been carried out."""
        if finding == pixel_mask.UNUSED_BITS:
            return self.clear_unused
        if finding == WRONG_EXTENDED_TABLE:
            return not self.extended_table
        if finding in REPAIRED:
            return self.reframe
        return self.codestreams and can_be_cleaned(finding)


def describe(head: bytes) -> tuple[Description, str | None, str]:
    """(watched values of the outermost data set, SOP class and transfer syntax of the meta). Raises Malformed."""
    meta = read_meta(head)
    transfer_syntax = meta.transfer_syntax
    encoding = meta.encoding
    about = Description(encoding)
    for element in walk(head, meta.end, len(head), encoding):
        if watched(element.tag):
            noted = element.length if element.tag in EXTENDED_TABLE else min(element.length, WATCHED_BYTES)
            about.note(element.tag, head[element.value : element.value + noted])
        elif element.tag == faces.ANATOMY:
            about.anatomy.update(faces.codes(head, element, encoding))
        elif element.tag == ultrasound.REGIONS:
            about.ultrasound_regions.append(ultrasound.read(head, element, encoding))
    return about, meta.sop_class, transfer_syntax


def plan(about: Description, sop_class: str | None, transfer_syntax: str, profile: Profile) -> PixelPlan:
    """What the head alone tells. All rules that match count: their regions together, and trust if any trusts."""
    rules = [rule for rule in profile.pixel_rules if _matches(rule, about, sop_class)]
    wanted = tuple(region for rule in rules for region in rule.blank)
    overlays = pixel_mask.overlays_in_pixels(about)
    layout = Layout.of(about)
    classes = about.texts(SOP_CLASS) | ({sop_class} if sop_class else set())
    hook = profile.face_hook if profile.face_hook and faces.seen(about, classes, frames=False) else None
    native = transfer_syntax in NATIVE
    obstacles = []
    clear = False
    regions: tuple[Region, ...] = ()
    wants_outside = any(rule.blank_outside for rule in rules)
    outside: tuple[Region, ...] = ()
    if layout is not None and wants_outside:
        outside, why = ultrasound.outside(about.ultrasound_regions, layout)
        if why:
            obstacles.append(f"what lies outside of the ultrasound regions cannot be blanked: {why}")
    if layout is not None:
        regions = pixel_regions.clipped((*wanted, *outside), layout)
        if native and regions and (why := pixel_regions.obstacle(layout)):
            obstacles.append(f"regions of the pixels cannot be blanked: {why}")
            regions = ()
        clear = bool(overlays) and not pixel_mask.obstacle_of_overlays(layout, about, list(overlays.values()))
    elif wanted or wants_outside:
        obstacles.append("regions of the pixels cannot be blanked: the description is not whole")
    if transfer_syntax in SYNTAXES:
        if regions:
            obstacles.append("regions of a video cannot be blanked")
        regions, clear = (), False
    if hook and (layout is None or layout.bits % 8 or layout.subsampled):
        obstacles.append("the pixels cannot be given to a hook: they are no whole samples")
    if overlays and not clear:
        groups = ", ".join(f"{group:04X}" for group in overlays)
        obstacles.append(f"an overlay (group {groups}) lies in bits of the pixels that cannot be cleared")
    return PixelPlan(
        regions=regions,
        clear_unused=clear,
        cut=layout.total + layout.total % 2 if layout is not None and native else None,
        decode=not native and (bool(regions) or clear or hook is not None),
        trusted=any(rule.trust for rule in rules),
        settled_by=tuple(
            _asked(rule)
            for rule in rules
            if rule.trust or _on_picture(rule, layout) or (rule.blank_outside and outside)
        ),
        hook=hook,
        obstacles=tuple(obstacles),
    )


def _asked(rule: PixelRule) -> frozenset[int]:
    return frozenset(tag for tag, pattern in rule.when if pattern.strip("*"))


def _on_picture(rule: PixelRule, layout: Layout | None) -> bool:
    return layout is not None and bool(pixel_regions.clipped(rule.blank, layout))


def _matches(rule: PixelRule, about: Description, sop_class: str | None) -> bool:
    """Whether every pattern fits every value that is there of its attribute."""
    for tag, pattern in rule.when:
        readings = about.readings(tag)
        if tag == SOP_CLASS and sop_class:
            readings.add(sop_class)
        if not readings or not all(fnmatchcase(one, pattern) for one in readings):
            return False
    return True
