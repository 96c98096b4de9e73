"""dcmtk reads what comes out of scrubbing."""

import os
import shutil
import subprocess
import warnings
import zlib

import pytest

from mdm_async.errors import ScrubRefused

FILES = [
    *(
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
    ),
    *("rtplan.dcm", "rtdose_expb.dcm", "test-SR.dcm", "UN_sequence.dcm", "priv_SQ.dcm", "chrJapMulti.dcm"),
    *("waveform_ecg.dcm", "693_J2KI.dcm"),
]


@pytest.fixture(scope="module", params=["dcmftest", "dcmdump"])
def tool(request) -> str:
    """The path of a dcmtk tool; without it a CI run fails and any other says so."""
    found = shutil.which(request.param)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{request.param} is missing: install dcmtk")
    if found is None:
        warnings.simplefilter("default")
        pytest.skip(f"NOT CHECKED against dcmtk: {request.param} is missing")
    return found


@pytest.mark.parametrize("name", FILES)
def test_dcmtk_reads_scrubbed_files(name, tool, samples, split, tmp_path):
    (path,) = [one for one in samples if one.name == name]
    assert_read(split(path.read_bytes()), tool, tmp_path / name)


def test_dcmtk_reads_a_file_that_was_deflated(ct, write, tool, split, tmp_path):
    start = ct.index(b"\x08\x00\x05\x00CS")
    deflater = zlib.compressobj(wbits=-15)
    meta = write.file(b"", "1.2.840.10008.1.2.1.99")
    meta = meta[: meta.index(b"\x08\x00\x16\x00UI")]
    parts = split(meta + deflater.compress(ct[start:]) + deflater.flush())
    assert_read(parts, tool, tmp_path / "deflated.dcm")


def assert_read(parts, tool, out) -> None:
    try:
        made = parts.scrub()
    except ScrubRefused:
        pytest.fail("this sample should not be refused")
    out.write_bytes(made.head + parts.pixels + made.tail)
    done = subprocess.run(
        [tool, str(out)], capture_output=True, text=True, timeout=60, errors="replace", check=False
    )
    assert done.returncode == 0, done.stderr
    said = done.stderr + (done.stdout if "dcmftest" in tool else "")
    # The pixels are the original's, odd lengths and all.
    said = "".join(line for line in said.splitlines() if "(7fe0,0010) is not a multiple of 2" not in line)
    assert "E: " not in said
    assert "W: " not in said
