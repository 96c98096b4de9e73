"""[terms] of profile files: code strings of a site's own, which the known terms lack."""

from typing import Final

from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.profiles.keywords import keyword_of
from mdm_async.dicom.profiles.site import in_table, public_tag, wrong
from mdm_async.dicom.profiles.written import may_be_written, what_is_legal

_EXAMPLE: Final = 'write [terms] and below it lines as ImageType = ["ACME RECON"]'


def terms(said: object) -> tuple[tuple[int, str], ...]:
    """(attribute, term), in ascending order. Raises BadRequest."""
    if not isinstance(said, dict):
        raise wrong("terms", "is no table", _EXAMPLE)
    found: set[tuple[int, str]] = set()
    for key, listed in said.items():
        where = in_table("terms", key)
        tag = public_tag(where, key)
        vr = vr_of(tag)
        if vr != b"CS":
            of = f"{keyword_of(tag)} has the VR {vr.decode()}" if vr else "it is not in the public dictionary"
            raise wrong(where, f"only code strings (CS) have terms; {of}", "leave it out")
        if not isinstance(listed, list) or not listed:
            raise wrong(where, "is no list of terms", _EXAMPLE)
        for at, term in enumerate(listed):
            here = f"{where}[{at}]"
            if not isinstance(term, str) or not may_be_written(vr, term) or "\\" in term:
                raise wrong(here, "is no code string", f"write {what_is_legal(vr)}")
            if (tag, term) in found:
                raise wrong(here, "is there already", "leave one out")
            found.add((tag, term))
    return tuple(sorted(found))
