"""Which instance of which SOP class a data set says it is (PS3.3 §C.12.1)."""

from typing import NamedTuple

from mdm_async.dicom.filemeta import read_meta, uid_text
from mdm_async.dicom.walking import walk

_CLASS, _INSTANCE = 0x00080016, 0x00080018


class SopCommon(NamedTuple):
    """SOP Class UID and SOP Instance UID; "" where there is none."""

    sop_class: str
    instance: str


def sop_common(head: bytes) -> SopCommon:
    """What the data set itself says, whatever its file meta information does. Raises Malformed."""
    meta = read_meta(head)
    found = {_CLASS: "", _INSTANCE: ""}
    for element in walk(head, meta.end, len(head), meta.encoding, last=_INSTANCE):
        if element.tag in found:
            found[element.tag] = uid_text(head[element.value : element.value + element.length])
    return SopCommon(found[_CLASS], found[_INSTANCE])
