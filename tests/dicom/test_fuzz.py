"""Whatever is fed, only named errors come out, in bounded size; what was found by longer fuzzing is kept here."""

import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdm_async.dicom.profile import basic
from tests.canary_pixels import described, encapsulated
from tests.dicom.conftest import SAMPLES
from tests.fuzz.target import check, profiles

HEADS = [path for path in SAMPLES if path.suffix == ".dcm" and path.stat().st_size < 20_000]
LENGTHS = [0, 1, 7, 8, 0xFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF]
CHUNKS = [
    b"SQ",
    b"UN",
    b"OB\0\0",
    b"\xfe\xff\x00\xe0",
    b"\xfe\xff\x0d\xe0",
    b"\xfe\xff\xdd\xe0",
    b"\xe0\x7f\x10\0",
]
FEW = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real file with bits flipped, pieces cut out or moved elsewhere, lengths changed."""
    content = bytearray(draw(st.sampled_from(HEADS)).read_bytes())
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(132, max(132, len(content) - 1)))
        kind = draw(st.sampled_from(["flip", "cut", "splice", "length", "chunk", "short"]))
        if kind == "flip" and at < len(content):
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del content[at : at + draw(st.integers(1, 200))]
        elif kind == "splice":
            start = draw(st.integers(132, max(132, len(content))))
            content[at:at] = content[start : start + draw(st.integers(1, 200))]
        elif kind == "length":
            content[at : at + 4] = struct.pack("<L", draw(st.sampled_from(LENGTHS)))
        elif kind == "short":
            content[at : at + 2] = struct.pack("<H", draw(st.integers(0, 0xFFFF)))
        else:
            content[at:at] = draw(st.sampled_from(CHUNKS))
    return bytes(content)


@FEW
@given(mutated(), st.sampled_from(sorted(profiles())))
def test_mutated_files(data, profile):
    check(data, profiles()[profile])


@FEW
@given(
    st.binary(max_size=2000),
    st.sampled_from(sorted(profiles())),
    st.sampled_from(["", ".1", ".2", ".4.50", ".4.90", ".5"]),
)
def test_any_bytes_behind_a_file_meta(body, profile, syntax):
    uid = b"1.2.840.10008.1.2" + syntax.encode()
    uid += b"\0" * (len(uid) % 2)
    data = bytes(128) + b"DICM\x02\0\x10\0UI" + struct.pack("<H", len(uid)) + uid + body
    check(data, profiles()[profile])


@FEW
@given(st.binary(max_size=600))
def test_any_bytes_at_all(data):
    check(data, basic())
    check(bytes(128) + b"DICM" + data, basic())


def test_a_plane_that_is_too_long_panics_in_no_decoder(write):
    """Run-length encoded, nine bytes where eight are due: pylibjpeg-rle raises what is no Exception."""
    planes = struct.pack("<16L", 2, 64, 66, *[0] * 13) + b"\xf9A" + b"\xf8A"
    data = write.file(described(16), "1.2.840.10008.1.2.5") + encapsulated(planes)
    check(data, profiles()["blanked"])
