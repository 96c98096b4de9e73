"""The bench, tiny: that every scenario runs and checks what it reads. Nothing here is about time."""

import asyncio
import csv
import hashlib
import io
import shutil
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pydicom
import pytest

from bench import (
    dicomweb,
    first_byte,
    heads,
    ingest,
    keys,
    memory,
    metadata,
    nearline,
    orthanc,
    pairs,
    removal,
    retention,
    scrubbing,
    sealed,
    siege,
    survivors,
    throughput,
)
from bench.__main__ import app
from bench.connection import Connection, WrongAnswer
from bench.framing import Chunked
from bench.images import ct, multi_frame
from bench.load import drive
from bench.multipart import Parts
from bench.plan import Exchange, Plan
from bench.scale import TINY
from tests.canary_everywhere import everything
from tests.canary_in_pixels import in_pixels
from tests.orthanc import demand_orthanc


@pytest.fixture
def folder() -> Iterator[Path]:
    """Below the system's folder of temporary files: pytest's own is closed to the user that runs Postgres."""
    made = Path(tempfile.mkdtemp(prefix="mdm-bench-test-")).resolve()
    yield made
    shutil.rmtree(made, ignore_errors=True)


async def test_throughput_without_orthanc_says_so_loudly(folder, monkeypatch):
    monkeypatch.setattr(orthanc, "executable", lambda: None)
    finding = await throughput.measure(TINY, folder, with_orthanc=True)
    assert len(finding.rows) == 5
    assert all(row["files/s"] > 0 for row in finding.rows)
    (target,) = finding.targets
    assert target.met is None
    assert "ORTHANC IS NOT INSTALLED" in target.measured


async def test_series_and_uploads_are_measured_beside_orthanc_or_alone(folder):
    finding = await dicomweb.measure(TINY, folder, with_orthanc=False)
    assert len(finding.rows) == 8
    assert all(row["MB/s"] > 0 for row in finding.rows)
    assert [target.met for target in finding.targets] == [None]


async def test_images_that_an_archive_has_are_brought_and_read_again(folder):
    demand_orthanc()
    finding = await nearline.measure(TINY, folder, with_orthanc=True)
    assert [row["image"] for row in finding.rows] == ["cold", "warm", "Orthanc's own WADO-RS"]


def test_an_answer_is_taken_in_chunks_and_parts_wherever_it_is_cut():
    parts = [bytes(200), b"\r\n--b", b"", b"x" * 7]
    body = b"".join(b"\r\n--bound\r\nContent-Type: a\r\n\r\n" + one for one in parts) + b"\r\n--bound--\r\n"
    chunks = [body[at : at + 50] for at in range(0, len(body), 50)] + [b""]
    sent = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in chunks)
    for step in (1, 3, 64, len(sent)):
        framing, found = Chunked(), Parts(b"bound")
        for at in range(0, len(sent), step):
            for some in framing.feed(memoryview(sent)[at : at + step]):
                found.feed(some)
        assert framing.done
        assert found.ended
        assert found.found == [zlib.adler32(one) for one in parts]


async def test_memory_is_measured_around_uploads_and_downloads(folder):
    finding = await memory.measure(TINY, folder)
    assert len(finding.rows) == 9
    assert len(finding.targets) == 2
    assert all(row["peak (VmHWM)"] > 10 for row in finding.rows)


async def test_the_first_byte_of_large_and_small_files_is_timed(folder):
    finding = await first_byte.measure(TINY, folder)
    assert len(finding.rows) == 4
    assert all(0 < row["first byte p50"] <= row["last byte p50"] for row in finding.rows)


async def test_no_pixels_are_decrypted_for_a_sealed_download(folder):
    finding = await sealed.measure(TINY, folder)
    assert [row["pixel segments decrypted"] > 0 for row in finding.rows] == [True, False]
    (target,) = finding.targets
    assert target.met


async def test_a_neighbour_is_measured_calm_and_besieged(folder):
    attacks = ["64 loops of prepareToGet × 200"]
    finding = await siege.measure(TINY, folder, only=attacks)
    assert [row["while"] for row in finding.rows] == ["calm", *attacks]
    assert len(finding.targets) == 2
    assert all(row["cycle p50"] > 0 < row["read p50"] for row in finding.rows)


async def test_ingest_is_measured_and_read_back(folder):
    finding = await ingest.measure(TINY, folder)
    assert [row["files/s"] > 0 for row in finding.rows] == [True] * 3


async def test_pairs_are_counted_beside_bare_ones(folder):
    finding = await pairs.measure(TINY, folder)
    assert [row["per s"] > 0 for row in finding.rows] == [True] * 2
    assert len(finding.targets) == 2


async def test_keys_are_read_from_stores_that_share_them_beside_one_store(folder):
    finding = await keys.measure(TINY, folder)
    assert [row["per s"] > 0 for row in finding.rows] == [True] * 3
    assert len(finding.targets) == 2


async def test_queries_and_tasks_are_measured_beside_bare_statements(folder, monkeypatch):
    monkeypatch.setattr(metadata, "_TASKS", 64)
    finding = await metadata.measure(TINY, folder)
    assert [row["query"] for row in finding.rows] == [
        "one row, two attributes",
        "a study",
        "in a study, by number",
        "none",
        "the next task",
    ]
    assert len(finding.targets) == 3
    assert "bare asyncpg" in finding.remarks[0]


async def test_the_cost_of_scrubbing_is_compared(folder, monkeypatch):
    monkeypatch.setattr(scrubbing, "enhanced", lambda: heads.enhanced(100, 60_000))
    finding = await scrubbing.measure(TINY, folder)
    assert len(finding.rows) == 7
    assert all(row["median"] or "NOT INSTALLED" in row["remark"] for row in finding.rows)
    assert len(finding.targets) == 4


async def test_survivors_are_counted_and_missing_peers_say_so(folder, monkeypatch):
    def nothing(source: Path, _: Path) -> bytes:
        return source.read_bytes()

    def absent(*_: Path) -> bytes:
        raise survivors.Missing("apt-get install it")

    peers = {"ours": survivors.ours, "nothing": nothing, "absent": absent}
    monkeypatch.setattr(survivors, "PEERS", peers)
    finding = await survivors.measure(folder, with_orthanc=False)
    assert finding.rows[0]["survivors"] == 0
    assert finding.rows[1]["survivors"] > 3000
    assert "apt-get" in finding.rows[2]["remark"]


async def test_what_survives_anywhere_is_counted_for_each_tool(folder, monkeypatch):
    def nothing(source: Path, _: Path) -> bytes:
        return source.read_bytes()

    monkeypatch.setattr(removal, "PEERS", {"ours": survivors.ours, "nothing": nothing})
    made = everything(1)
    monkeypatch.setattr(removal, "everything", lambda _: {"own VR, explicit": made["own VR, explicit"]})
    places = len(in_pixels(1))
    finding = await removal.measure(folder)
    assert finding.rows[1]["survivors"] == len(made["own VR, explicit"].markers) + places
    assert (finding.rows[0]["in the pixels"], finding.rows[1]["in the pixels"]) == (0, places)
    assert finding.rows[0]["survivors"] == finding.rows[0]["own VR"]


async def test_what_analysis_reads_is_counted_for_each_tool(folder, monkeypatch):
    def nothing(source: Path, _: Path) -> bytes:
        return source.read_bytes()

    monkeypatch.setattr(retention, "TOOLS", {"ours": retention.ours, "nothing": nothing})
    finding = await retention.measure(folder)
    assert finding.rows[1]["retained"] == 100
    assert finding.rows[0]["values"] == finding.rows[1]["values"] > 3000


def test_the_list_of_what_analysis_reads_names_attributes_and_reasons():
    with Path(retention.__file__).with_name("analysis.csv").open(encoding="ascii") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == len(retention.attributes()) > 300
    assert all(row["why analysis reads it"] for row in rows)


def test_heads_to_scrub_are_what_they_are_said_to_be():
    assert 245 <= sum(1 for _ in pydicom.dcmread(io.BytesIO(heads.typical_ct())).iterall()) <= 265
    assert abs(len(heads.enhanced(100, 60_000)) - 60_000) < 2000


@pytest.mark.parametrize("image", [ct(5), multi_frame(6, 2)], ids=["one frame", "several"])
def test_a_made_image_is_a_dicom_file_and_always_the_same(image):
    data = b"".join(image.chunks())
    assert len(data) == image.size
    assert zlib.adler32(data) == image.adler32
    assert data == b"".join(image.chunks())
    described = pydicom.dcmread(io.BytesIO(data))
    assert described.PixelData == image.pixel_bytes(0, image.pixels)
    assert described.get("NumberOfFrames", 1) == image.frames


def test_no_two_frames_are_alike():
    frames = [
        image.frame(index) for image in (ct(1), ct(2), multi_frame(3, 2)) for index in range(image.frames)
    ]
    assert len({hashlib.sha256(frame).digest() for frame in frames}) == len(frames)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """The port of a server that answers every request with the same bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcX", "the bytes are not"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "3 bytes instead of 4"),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 4\r\n\r\nabcd", "answered 410"),
        (b"HTTP/1.1 200 OK\r\n\r\nabcd", "not an answer that ends"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcdef", "more bytes than announced"),
    ],
)
async def test_a_wrong_answer_ends_the_load(answer, complaint):
    async with answering(answer) as port:
        wanted = Exchange("x", "GET / HTTP/1.1\r\n\r\n", size=4, adler32=zlib.adler32(b"abcd"))
        with pytest.raises(WrongAnswer, match=complaint):
            await drive(Plan("127.0.0.1", port, 1, [wanted]))


async def test_only_the_last_bytes_are_summed_when_only_they_are_known():
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef") as port:
        connection = await Connection.open("127.0.0.1", port)
        answer = await connection.ask(b"GET / HTTP/1.1\r\n\r\n", tail=2)
        assert (answer.size, answer.adler32) == (6, zlib.adler32(b"ef"))
        connection.close()


def test_the_help_shows_an_example(capsys):
    with pytest.raises(SystemExit) as end:
        app(["--help"])
    assert end.value.code == 0
    assert {"run", "list", "compare"} <= set(capsys.readouterr().out.split())
