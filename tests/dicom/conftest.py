"""Real DICOM files, and builders of encoded ones, for the tests of this room."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom.data
import pytest

from mdm_async.dicom import encode
from mdm_async.dicom.elements import EXPLICIT_LITTLE, Encoding
from mdm_async.dicom.part10 import Kind, Splitter
from mdm_async.dicom.profile import basic
from mdm_async.dicom.scrub import PixelFacts, Scrubbed, scrub

KEY = bytes(range(32))
ROOT = Path(pydicom.data.__file__).parent
SAMPLES = sorted(
    path
    for path in ROOT.rglob("*")
    if path.is_file() and path.suffix not in {".py", ".pyc", ".json", ".md", ".txt"}
)


@dataclass
class Parts:
    """A file cut in one go."""

    head: bytes
    pixels: bytes
    tail: bytes
    original: bytes
    splitter: Splitter

    @property
    def facts(self) -> PixelFacts:
        return PixelFacts(
            bool(self.pixels), self.splitter.pixel_value_length, self.splitter.encapsulated, findings=()
        )

    def scrub(self) -> Scrubbed:
        return scrub(self.head, self.tail, profile=basic(), key=KEY, pixels=self.facts)


def cut(data: bytes, sizes: list[int] | None = None) -> Parts:
    """Feed `data` to a Splitter in chunks of these sizes (the last one again and again), or whole."""
    splitter = Splitter()
    got = {kind: bytearray() for kind in Kind}
    at, turn, sizes = 0, 0, sizes or [len(data) or 1]
    while at < len(data):
        size = sizes[min(turn, len(sizes) - 1)]
        for piece in splitter.feed(data[at : at + size]):
            got[piece.kind] += piece.data
        at, turn = at + size, turn + 1
    for piece in splitter.close():
        got[piece.kind] += piece.data
    head, pixels, tail, original = (
        bytes(got[kind]) for kind in (Kind.HEAD, Kind.PIXELS, Kind.TAIL, Kind.ORIGINAL)
    )
    return Parts(head, pixels, tail, original, splitter)


class Write:
    """Encodes elements, items and sequences for tests."""

    def __init__(self, encoding: Encoding = EXPLICIT_LITTLE) -> None:
        self.encoding = encoding

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        return encode.element(tag, vr.encode(), value, self.encoding)

    def undefined(self, tag: int, vr: str, body: bytes) -> bytes:
        """An element of undefined length, its delimiter included."""
        return self.header(tag, vr, 0xFFFFFFFF) + body + self.delimiter(0xFFFEE0DD)

    def header(self, tag: int, vr: str, length: int) -> bytes:
        order = ">" if self.encoding.big_endian else "<"
        if not self.encoding.explicit:
            return struct.pack(order + "HHL", tag >> 16, tag & 0xFFFF, length)
        return struct.pack(order + "HH2sHL", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)

    def item(self, body: bytes, *, undefined: bool = False) -> bytes:
        if undefined:
            return self.delimiter(0xFFFEE000, 0xFFFFFFFF) + body + self.delimiter(0xFFFEE00D)
        return self.delimiter(0xFFFEE000, len(body)) + body

    def sequence(self, tag: int, *bodies: bytes, undefined: bool = False) -> bytes:
        body = b"".join(self.item(one, undefined=undefined) for one in bodies)
        return self.undefined(tag, "SQ", body) if undefined else self.element(tag, "SQ", body)

    def delimiter(self, tag: int, length: int = 0) -> bytes:
        return struct.pack(">HHL" if self.encoding.big_endian else "<HHL", tag >> 16, tag & 0xFFFF, length)

    def file(self, body: bytes, syntax: str = "1.2.840.10008.1.2.1", sop_class: str = "4") -> bytes:
        """A Part 10 file of a class of 1.2.840.10008.5.1.4.1.1; its SOP Instance UID is 1.2.3.4.5."""
        uid = b"1.2.840.10008.5.1.4.1.1." + sop_class.encode()
        start = self.element(0x00080016, "UI", uid) + self.element(0x00080018, "UI", b"1.2.3.4.5")
        return encode.preamble_and_meta(uid, b"1.2.3.4.5", syntax.encode()) + start + body


@pytest.fixture(scope="session")
def split() -> Callable[..., Parts]:
    return cut


@pytest.fixture(scope="session")
def write() -> Write:
    """Explicit VR little endian."""
    return Write()


@pytest.fixture(scope="session")
def writer() -> type[Write]:
    return Write


@pytest.fixture(scope="session")
def samples() -> list[Path]:
    """Every file that pydicom ships."""
    return SAMPLES


@pytest.fixture(scope="session")
def ct() -> bytes:
    return (ROOT / "test_files" / "CT_small.dcm").read_bytes()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sample" in metafunc.fixturenames:
        names = [str(path.relative_to(ROOT)) for path in SAMPLES]
        metafunc.parametrize("sample", SAMPLES, ids=names)
