"""What images and their like travel as: storage SOP classes (PS3.4 §B.5) and transfer syntaxes (PS3.5 §10)."""

from typing import Final

from pydicom.uid import UID_dictionary  # type: ignore[attr-defined]

_NOT_STORED: Final = frozenset(
    {
        "1.2.840.10008.1.3.10",  # Media Storage Directory
        "1.2.840.10008.1.20.1",  # Storage Commitment Push Model
        "1.2.840.10008.1.20.2",  # Storage Commitment Pull Model
    }
)
UNKNOWN_TO_PYDICOM: Final = {
    "1.2.840.10008.5.1.4.1.1.9.100.1": "Waveform Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.9.100.2": "Waveform Acquisition Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
}
"""Storage classes that its dictionary lacks, with their names."""
_PIXELS_ELSEWHERE: Final = ("JPIP", "SMPTE", "MIME", "XML", "Papyrus")
"""Words in the names of transfer syntaxes by which no file is written, or one that only tells where its pixels are."""

STORAGE_CLASSES: Final = frozenset(UNKNOWN_TO_PYDICOM) | frozenset(
    uid
    for uid, (name, kind, *_) in UID_dictionary.items()
    if kind == "SOP Class" and uid not in _NOT_STORED and "Storage" in name
)
"""Every class that is stored; those that are retired, too: old devices go on sending them."""

TRANSFER_SYNTAXES: Final = frozenset(
    uid
    for uid, (name, kind, *_) in UID_dictionary.items()
    if kind == "Transfer Syntax" and not any(word in name for word in _PIXELS_ELSEWHERE)
)
