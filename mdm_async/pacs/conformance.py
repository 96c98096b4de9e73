"""The DICOM conformance statement (PS3.2), put together from what is registered in code: so it cannot drift."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from pydicom.uid import UID, UID_dictionary  # type: ignore[attr-defined]

from mdm_async.dicom.encode import IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION
from mdm_async.dicom.indexed import Level, indexed
from mdm_async.dicom.rejection_notes import QUALITY, REASONS
from mdm_async.dicom.stored_classes import STORAGE_CLASSES, TRANSFER_SYNTAXES, UNKNOWN_TO_PYDICOM
from mdm_async.pacs import statuses
from mdm_async.pacs.dimse import answers
from mdm_async.pacs.dimse.association import syntaxes_of
from mdm_async.pacs.dimse.association_items import APPLICATION, MOST_CONTEXTS
from mdm_async.pacs.dimse.commands import VERIFICATION
from mdm_async.pacs.dimse.messages import LONGEST
from mdm_async.pacs.retrieval import identifiers
from mdm_async.settings import PacsSettings

Route = tuple[str, str]
"""A method and a path."""

_SCU: Final = {
    VERIFICATION: "asks whether a configured archive answers",
    identifiers.FIND: "searches a configured archive",
    identifiers.GET: "fetches from it, as SCP of the storage classes in the same association",
    identifiers.MOVE: "has it send here, where that is configured",
}
"""What this server asks others for."""
_NOT_OFFERED: Final = (
    "Modality Worklist", "Modality Performed Procedure Step", "Unified Procedure Step (UPS-RS as well)",
    "Print Management", "Media Storage", "Relational queries", "Extended negotiation", "Asynchronous operations",
)  # fmt: skip


def statement(routes: Iterable[Route]) -> str:
    """As Markdown. `routes`: those of DICOMweb."""
    parts = (
        _overview(), _associations(), _storage(), _rejections(), _queries(), _web(routes), _characters(), _security(),
    )  # fmt: skip
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _overview() -> list[str]:
    serves = [uid for uid in _abstract_syntaxes() if uid not in STORAGE_CLASSES]
    rows = [(_name(uid), uid, _SCU.get(uid, "no"), "yes") for uid in serves]
    rows += [(_name(uid), uid, what, "no") for uid, what in _SCU.items() if uid not in serves]
    rows.append(
        (
            f"Storage: {len(STORAGE_CLASSES)} classes, see below",
            "",
            "sends to configured devices, for C-MOVE",
            "yes",
        )
    )
    return [
        "# DICOM conformance statement",
        "",
        "Written by `mdm pacs conformance` from what is registered in the program; a test compares them. In the",
        "order of PS3.2: networking, information models, web services, character sets, security.",
        "",
        "## Overview",
        "",
        "The Medical Data Manager keeps images of a hospital's archives and devices, encrypted, and shows each",
        "caller views of them, most of them de-identified. It is an SCP for devices and hospital tools, an SCU to",
        "archives, and an origin server of DICOMweb. All are shown under one set of rights: a calling AE is mapped",
        "to a principal and a view.",
        "",
        *_table(("SOP class", "UID", "SCU", "SCP"), rows),
        "",
        f"Not offered: {', '.join(_NOT_OFFERED)}.",
    ]


def _associations() -> list[str]:
    settings = PacsSettings()
    rows = [
        ("Application context", APPLICATION),
        ("Implementation class UID", IMPLEMENTATION_CLASS.decode()),
        ("Implementation version name", IMPLEMENTATION_VERSION.decode()),
        ("Longest PDU that is received", f"{LONGEST} bytes"),
        ("Longest PDU that is sent", f"what the peer takes, {LONGEST} bytes at the most"),
        ("Presentation contexts of an association", f"{MOST_CONTEXTS} at the most"),
        ("Outstanding operations", "one"),
        ("AE title", f"`pacs.ae_title`, by default {settings.ae_title}"),
        ("Port", "`pacs.port`; none by default, 11112 is usual. With TLS and without on the same port"),
        ("Associations at once", f"`pacs.associations`, by default {settings.associations}"),
        ("Silence until an A-ABORT", f"`pacs.idle_seconds`, by default {settings.idle_seconds:g} s"),
    ]
    refusals = [
        ("1 (permanent)", "1", "3", "the calling AE title, its address or its certificate is not configured"),
        ("1 (permanent)", "1", "7", "another AE title is called"),
        ("1 (permanent)", "1", "2", "another application context"),
        ("2 (transient)", "3", "2", "as many associations as there may be, of the caller or in all"),
    ]
    return [
        "## Associations",
        "",
        *_table(("", ""), rows),
        "",
        "An association is refused (PS3.8 table 9-21):",
        "",
        *_table(("Result", "Source", "Reason", "When"), refusals),
    ]


def _storage() -> list[str]:
    rows = [(_name(uid), uid) for uid in sorted(STORAGE_CLASSES, key=_by_name)]
    syntaxes = [(_name(uid), uid) for uid in sorted(TRANSFER_SYNTAXES, key=_order)]
    told = [
        (statuses.SUCCESS, "stored for good; or it was there already"),
        (
            statuses.OUT_OF_RESOURCES,
            "no space, too much at once, too large, or something behind the server is away",
        ),
        (statuses.OTHER_CLASS, "it is not the instance, or of the class, that the command says"),
        (statuses.NOT_UNDERSTOOD, "no DICOM data set, or a broken one"),
        (statuses.CLASS_NOT_SUPPORTED, "no storage class"),
        (statuses.NOT_AUTHORISED, "no right to store there"),
        (statuses.PROCESSING_FAILURE, "anything else"),
    ]
    return [
        "## Storage",
        "",
        "Level 2 (full): every attribute is kept, the data set's bytes are unchanged. Elements are not coerced.",
        "What comes again under a known SOP Instance UID is told in [pacs](pacs.md#an-instance-that-comes-again).",
        "",
        *_table(("Status", "When"), [(f"{status:04X}H", when) for status, when in told]),
        "",
        "Classes, as SCP in all, and as SCU of C-GET and C-MOVE in that in which an image is stored:",
        "",
        *_table(("SOP class", "UID"), rows),
        "",
        "Transfer syntaxes; of those that a presentation context offers the first is taken:",
        "",
        *_table(("Transfer syntax", "UID"), syntaxes),
    ]


def _rejections() -> list[str]:
    rows = [
        (f"({code}, DCM)", reason, "may be seen" if code == QUALITY else "is hidden")
        for code, reason in REASONS.items()
    ]
    return [
        "## Rejection notes",
        "",
        "As Image Manager / Archive of IHE's Imaging Object Change Management: a Key Object Selection with one of",
        "these titles hides the instances that its Current Requested Procedure Evidence Sequence names, from",
        "queries and retrieval, DIMSE and DICOMweb alike, until the note is removed. Notes may come before what",
        "they name. What comes again under the UID of a hidden instance is answered with success, and stays",
        "hidden. Nothing is deleted, and instances that are kept are committed, hidden or not. Notes are not made",
        "here. Whose note counts is told in [pacs](pacs.md#instances-that-are-rejected).",
        "",
        *_table(("Title", "Meaning", "The note itself"), rows),
    ]


def _queries() -> list[str]:
    rows = [
        (row.keyword, f"({row.tag >> 16:04X},{row.tag & 0xFFFF:04X})", _LEVELS[row.level])
        for row in indexed().values()
    ]
    told = [
        (answers.PENDING, "a match, or images remain to be sent"),
        (answers.PENDING_IGNORED, "the same; a key is not supported"),
        (statuses.SUCCESS, "the end"),
        (answers.CANCELLED, "C-CANCEL"),
        (answers.SOME_FAILED, "the end; some images were not sent"),
        (statuses.OUT_OF_RESOURCES, "there are more matches than are told at once; or busy, or away"),
        (answers.NOT_COUNTED, "the matches cannot be counted"),
        (answers.NOT_PERFORMED, "no image could be sent"),
        (answers.UNKNOWN_DESTINATION, "the move destination is not configured"),
        (answers.UNFIT, "the identifier does not fit its SOP class"),
        (statuses.NOT_AUTHORISED, "no right"),
        (statuses.NOT_UNDERSTOOD, "a key's value cannot be read"),
    ]
    return [
        "## Query and retrieve",
        "",
        "Hierarchical queries in the Patient Root and Study Root models. Attributes below are matching and return",
        "keys at their level and those below it: single values, '*' and '?' in texts and names, ranges of dates and",
        "times, lists of UIDs. Names match as they are written. Nothing else is found by, and other keys come back",
        "empty.",
        "",
        *_table(("Status", "When"), [(f"{status:04X}H", when) for status, when in told]),
        "",
        *_table(("Attribute", "Tag", "Level"), rows),
    ]


def _web(routes: Iterable[Route]) -> list[str]:
    rows = sorted((path, method) for method, path in routes if "@" not in path)
    return [
        "## Web services",
        "",
        "`/dicom-web/@{view}` instead of `/dicom-web` names the view that is shown; without it, it is each",
        "directory's default view. What each takes and gives is in [dicomweb](dicomweb.md).",
        "",
        *_table(("Resource", "Method"), rows),
    ]


def _characters() -> list[str]:
    return [
        "## Character sets",
        "",
        "Every Specific Character Set of PS3.3 §C.12.1.1.2 is read, with and without code extensions. Matches, and",
        "what is made here, are in UTF-8 (ISO_IR 192); images that are sent keep their own.",
    ]


def _security() -> list[str]:
    return [
        "## Security",
        "",
        "TLS on the same port; certificates of devices may be demanded one by one. Without TLS a device is taken",
        "off the loopback only where its settings say so, and is never shown the identified view. De-identification",
        "is after PS3.15 Annex E, see [de-identification](de-identification.md); the audit trail is described in",
        "[audit](audit.md).",
    ]


_LEVELS: Final = {
    Level.PATIENT: "patient",
    Level.STUDY: "study",
    Level.SERIES: "series",
    Level.INSTANCE: "image",
}


def _abstract_syntaxes() -> Sequence[str]:
    """All that some presentation context is accepted for, in the order of their names."""
    known = {*UID_dictionary, *STORAGE_CLASSES}
    return sorted((uid for uid in known if syntaxes_of(uid)), key=_by_name)


def _name(uid: str) -> str:
    return UNKNOWN_TO_PYDICOM.get(uid) or UID(uid).name


def _by_name(uid: str) -> tuple[str, str]:
    return _name(uid), uid


def _order(uid: str) -> list[int]:
    return [int(one) for one in uid.split(".")]


def _table(heads: Sequence[str], rows: Collection[Sequence[str]]) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    return [line(heads), line("---" for _ in heads), *map(line, rows)]
