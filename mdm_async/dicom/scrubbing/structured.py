"""Structured content: which content items and coding schemes are known (PS3.3 §C.17.3, PS3.16 §8)."""

from typing import Final

from mdm_async.dicom.elements import Encoding, walk
from mdm_async.dicom.filemeta import uid_text

_VALUE_TYPE: Final = 0x0040A040
_VALUE_TYPES: Final = frozenset(
    {"TEXT", "NUM", "CODE", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME", "COMPOSITE", "IMAGE", "WAVEFORM"}
    | {"SCOORD", "SCOORD3D", "TCOORD", "CONTAINER", "TABLE", "NUMERIC"}
)

PUBLIC_SCHEMES: Final = frozenset(
    b"ACR ASTM-sigpurpose BARI BI C4 CD2 DC DCM FMA HPC I10 I10C I10P I11 I9 I9C IBSI ICDO ICDO3 ISO3166_1 "
    b"ISO639_1 ISO639_2 ITIS_TSN LN MA MDC MGI MSH MVX NCIt NDC NEU NICIP PUBCHEM_CID RADELEMENT RADLEX RFC3066 "
    b"RFC5646 RXNORM SCT SNM3 SRT UBERON UCUM UMLS UNS UPC".split()
)
"""Schemes whose meanings are published; any other is a site's own, and its Code Meaning is free text."""


def is_known_content(data: bytes, at: int, end: int, encoding: Encoding) -> bool:
    """Whether an item is of a value type that PS3.3 defines, or has none: then its attributes speak for themselves.

    `at` is the item's first element; what is behind the Value Type is not looked at.
    """
    for element in walk(data, at, end, encoding):
        if element.tag > _VALUE_TYPE:
            break
        if element.tag == _VALUE_TYPE:
            return uid_text(data[element.value : element.end]) in _VALUE_TYPES
    return True
