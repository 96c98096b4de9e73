"""Video streams as Pixel Data: looked into and cleaned in pieces, as the server does. The streams are in `videos/`.

`python -m tests.dicom.made_videos` asks ffmpeg whether every cleaned stream decodes to the frames of its original, and
stores the digests of those that do, for the tests, which have no decoder.
"""

import hashlib
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from mdm_async.dicom.elements import EXPLICIT_LITTLE
from mdm_async.dicom.pixels.cleaning import PixelCleaner
from mdm_async.dicom.pixels.description import Description
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.dicom.pixels.plan import PixelPlan

FOLDER = Path(__file__).parent / "videos"
DIGESTS = FOLDER / "same-frames.sha256"
SYNTAX = "1.2.840.10008.1.2.4."
SYNTAXES = {"mpeg2": SYNTAX + "100", "hevc": SYNTAX + "107"}
"""By the beginning of a file's name; H.264 for others."""
CLEAN = [
    *("avc.mp4", "avc-begin.mp4", "avc.mov", "avc.ts", "avc.h264", "avc-broadcast.ts", "avc-interlaced.h264"),
    *("hevc.mp4", "hevc.ts", "hevc.hevc", "hevc-broadcast.hevc", "mpeg2.m2v", "mpeg2.ts"),
]
"""Those that can be cleaned."""


def stream(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def syntax(name: str) -> str:
    return SYNTAXES.get(name.split(".")[0].split("-")[0], SYNTAX + "102")


def element(video: bytes, fragments: int = 1) -> bytes:
    """Pixel Data (PS3.5 §A.4) with the stream in so many fragments."""
    video += bytes(len(video) % 2)
    size = -(-len(video) // fragments // 2) * 2
    items = [video[at : at + size] for at in range(0, len(video), size)]
    return (
        struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
        + b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item for item in [b"", *items])
        + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    )


def looked_into(
    video: bytes, transfer_syntax: str, *, piece: int = 1 << 16, fragments: int = 1
) -> tuple[str, ...]:
    """What is found."""
    whole = element(video, fragments)
    inspector = Inspector(transfer_syntax)
    for at in range(0, len(whole), piece):
        inspector.feed(whole[at : at + piece])
    return inspector.findings()


def cleaned(video: bytes, transfer_syntax: str, *, piece: int = 1 << 16, fragments: int = 1) -> bytes:
    """The stream without that."""
    whole = element(video, fragments)
    cleaner = PixelCleaner(PixelPlan(codestreams=True), Description(EXPLICIT_LITTLE), transfer_syntax)
    pieces = [cleaner.feed(whole[at : at + piece]) for at in range(0, len(whole), piece)]
    clean = b"".join((*pieces, cleaner.close()))
    assert len(clean) == len(whole)
    size = -(-(len(video) + len(video) % 2) // fragments // 2) * 2
    stripped = b"".join(clean[at + 8 : at + 8 + size] for at in range(20, len(clean) - 8, size + 8))
    return stripped[: len(video)]


def _frames(path: Path) -> bytes:
    """The digest of every frame, as ffmpeg decodes it."""
    command = [
        "ffmpeg",
        "-hide_banner",
        "-loglevel",
        "error",
        "-i",
        str(path),
        "-map",
        "0:v",
        "-f",
        "framemd5",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, check=True)
    assert not done.stderr, done.stderr
    assert done.stdout.count(b"\n") > 10, done.stdout
    return done.stdout


def main() -> None:
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for name in CLEAN:
            clean = cleaned(stream(name), syntax(name))
            path = Path(folder, name)
            path.write_bytes(clean)
            if _frames(path) != _frames(FOLDER / name):
                sys.exit(f"{name}: the cleaned stream decodes to other frames")
            lines.append(f"{hashlib.sha256(clean).hexdigest()}  {name}\n")
    DIGESTS.write_text("".join(lines))


if __name__ == "__main__":
    main()
