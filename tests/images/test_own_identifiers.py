"""What is known of an image when a name of it is compared."""

import io
from collections.abc import Iterator

import pydicom

from mdm_async.images.names.own_identifiers import own_identifiers
from mdm_async.images.names.path_template import pseudonym
from tests.web.made_images import made

KEYS = [bytes([number]) * 32 for number in range(3)]


class Untouched(list[bytes]):
    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("a pseudonym was worked out by a project's key")


def test_pseudonyms_are_worked_out_only_for_names_that_look_like_one() -> None:
    plain = ["", "a.dcm", "MDM.dcm", "MDMABC.dcm", "MDM1AAAAAAAAAAAA.dcm", "xMDMAAAAAAAAAAAAA.dcm"]
    assert own_identifiers(made(), None, plain, Untouched()).pseudonyms == frozenset()


def test_of_those_only_what_a_key_makes_of_this_image_counts_as_made_by_the_server() -> None:
    instance = str(pydicom.dcmread(io.BytesIO(made())).SOPInstanceUID)
    mine, others = (pseudonym("instance", one, KEYS[2]) for one in (instance, f"{instance}.1"))
    found = own_identifiers(made(), None, [f"{mine}.dcm", f"{others}.dcm"], KEYS)
    assert found.pseudonyms == {mine}
    assert found.chosen(f"/d/{mine}.dcm", f"{mine}.dcm") == "/d/-.dcm"
    assert found.chosen(f"/d/{others}.dcm", f"{others}.dcm") == f"/d/{others}.dcm"
