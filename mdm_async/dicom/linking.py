"""The values that link images of one patient, order, study or series: in an original, or their pseudonyms in a view."""

from typing import Final

from mdm_async.dicom.elements import walk
from mdm_async.dicom.filemeta import read_meta

LINKING: Final = {
    0x00080018: "SOPInstanceUID",
    0x00080050: "AccessionNumber",
    0x00100020: "PatientID",
    0x0020000D: "StudyInstanceUID",
    0x0020000E: "SeriesInstanceUID",
    0x00200010: "StudyID",
    0x00200052: "FrameOfReferenceUID",
}
_LAST: Final = max(LINKING)


def linking_values(head: bytes) -> dict[str, str]:
    """Keyword and text of those top-level attributes that are there and not empty. Raises Malformed.

    Bytes outside ASCII come as replacement characters: pseudonyms have none.
    """
    meta = read_meta(head)
    found: dict[str, str] = {}
    for element in walk(head, meta.end, len(head), meta.encoding):
        if element.tag > _LAST:
            break
        if element.tag in LINKING:
            value = head[element.value : element.value + element.length]
            if text := value.decode("ascii", "replace").strip("\0 "):
                found[LINKING[element.tag]] = text
    return found
