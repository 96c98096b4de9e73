"""mdm:// as others use it: fsspec's own calls, from other threads and processes, on a real server; and against a server
that lies."""

import asyncio
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from importlib.metadata import entry_points
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pydicom
import pytest
from fsspec.asyn import sync

from mdm_async import errors
from mdm_async.client import Client
from mdm_async.client.filesystem import MdmFileSystem
from mdm_async.client.filesystem_files import LEAST
from tests.client.fake_server import TOKEN, FakeServer
from tests.conftest import Server
from tests.faults.conditions import until


@pytest.fixture(autouse=True)
def registered() -> None:
    """Also where the package that is installed knows no file system yet."""
    for protocol in MdmFileSystem.protocol:
        fsspec.register_implementation(protocol, MdmFileSystem, clobber=True)


@pytest.fixture(scope="session")
def slice_of_ct(ct: bytes) -> bytes:
    """512 × 512 × 2 bytes of pixels."""
    image = pydicom.dcmread(BytesIO(ct))
    image.Rows = image.Columns = 512
    image.PixelData = np.random.default_rng(1).integers(0, 4096, (512, 512), np.int16).tobytes()
    out = BytesIO()
    image.save_as(out)
    return out.getvalue()


class Used:
    """A file system of the server, and a directory of the test's own."""

    def __init__(self, server: Server, folder: str) -> None:
        self.server, self.folder = server, folder
        self.at = server.url.replace("http://", "mdm://")
        self.options = {"token": server.admin_token}
        self.fs = fsspec.filesystem("mdm", url=server.url, skip_instance_cache=True, **self.options)

    def __call__(self, name: str) -> str:
        return f"{self.at}{self.folder}/{name}"


@pytest.fixture
async def used(server: Server) -> AsyncIterator[Used]:
    used = Used(server, await server.directory())
    yield used
    await asyncio.to_thread(used.fs.close)
    await asyncio.to_thread(_close_all)


def _close_all() -> None:
    for each in list(MdmFileSystem._cache.values()):
        each.close()
    MdmFileSystem.clear_instance_cache()


async def test_what_is_written_is_listed_read_and_removed(used: Used, ct: bytes) -> None:
    fs, folder = used.fs, used.folder

    def work() -> None:
        fs.makedirs(f"{folder}/study/a", exist_ok=True)
        with pytest.raises(FileExistsError):
            fs.makedirs(f"{folder}/study/a")
        fs.pipe_file(f"{folder}/study/a/one.dcm", ct)
        with fs.open(f"{folder}/study/a/two.dcm", "wb") as file:
            file.write(ct[:1000])
            file.write(ct[1000:])
        assert fs.ls(f"{folder}/study/a", detail=False) == [
            f"{folder}/study/a/{n}.dcm" for n in ("one", "two")
        ]
        assert fs.glob(f"{folder}/**/*.dcm") == fs.ls(f"{folder}/study/a", detail=False)
        assert [(top, names) for top, _, names in fs.walk(folder) if names] == [
            (f"{folder}/study/a", ["one.dcm", "two.dcm"])
        ]
        told = fs.info(f"{folder}/study/a/one.dcm")
        whole = fs.cat_file(f"{folder}/study/a/one.dcm")
        # Its writer is told what was sent, for transfers.writer_window.
        assert (told["type"], told["size"]) == ("file", len(ct))
        assert fs.isdir(folder)
        assert not fs.exists(f"{folder}/none")
        assert pydicom.dcmread(BytesIO(whole)).PatientID != pydicom.dcmread(BytesIO(ct)).PatientID
        fs.mv(f"{folder}/study/a/two.dcm", f"{folder}/study/b.dcm")
        fs.rm(f"{folder}/study/a", recursive=True)
        assert fs.find(folder) == [f"{folder}/study/b.dcm"]
        with pytest.raises(FileNotFoundError):
            fs.cat_file(f"{folder}/study/a/one.dcm")
        with pytest.raises(errors.BadRequest):
            fs.open(f"{folder}/study/b.dcm", "r+b")

    await asyncio.to_thread(work)


async def test_a_write_that_fails_stores_nothing(used: Used, ct: bytes) -> None:
    def work() -> None:
        with suppress(ZeroDivisionError), used.fs.open(f"{used.folder}/half.dcm", "wb") as file:
            file.write(ct)
            raise ZeroDivisionError
        assert not used.fs.exists(f"{used.folder}/half.dcm")
        used.fs.pipe_file(f"{used.folder}/whole.dcm", ct)
        with pytest.raises(FileExistsError):
            used.fs.pipe_file(f"{used.folder}/whole.dcm", ct[:-2] + b"\0\1", mode="create")

    await asyncio.to_thread(work)


async def test_a_head_moves_little_and_a_slice_as_a_slice_does(
    used: Used, slice_of_ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await used.server.put(f"{used.folder}/slice.dcm", slice_of_ct)
    whole = await used.server.read(f"{used.folder}/slice.dcm")
    before = _sent(await used.server.call("GET", "/metrics"))

    def head() -> None:
        with fsspec.open(used("slice.dcm"), **used.options) as file:
            assert pydicom.dcmread(file, stop_before_pixels=True).Rows == 512

    await asyncio.to_thread(head)
    moved = _sent(await used.server.call("GET", "/metrics")) - before
    assert 0 < moved <= 2 * LEAST

    def ranges() -> None:
        path, fs = f"{used.folder}/slice.dcm", used.fs
        for start, stop in [
            (0, 10),
            (-10, None),
            (None, None),
            (100_000, 200_000),
            (5, 5),
            (len(whole), None),
        ]:
            assert fs.cat_file(path, start, stop) == whole[start:stop]
        with fs.open(path) as file:
            assert file.seek(400_000) == 400_000
            assert file.read(7) == whole[400_000:400_007]
            file.seek(10)
            assert file.read() == whole[10:]
        for cache in ("none", "bytes", "blockcache"):
            with fs.open(path, cache_type=cache, block_size=65536) as file:
                file.seek(-300_000, 2)
                assert file.read(1000) == whole[-300_000:-299_000]

    await asyncio.to_thread(ranges)


def _sent(metrics: Any) -> float:
    lines = metrics.body.decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("mdm_bytes_out_total"))


async def test_many_files_are_prepared_by_one_request(used: Used, ct: bytes, tmp_path: Path) -> None:
    for number in range(20):
        await used.server.put(f"{used.folder}/{number:02}.dcm", ct)
    wanted = [f"{used.folder}/{number:02}.dcm" for number in range(20)]
    whole = {path: await used.server.read(path) for path in wanted}
    asked: list[list[str]] = []
    prepare = Client.prepare

    async def counted(self: Client, paths: Any, **how: Any) -> Any:
        asked.append(list(paths))
        return await prepare(self, paths, **how)

    def work() -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Client, "prepare", counted)
            found = used.fs.cat_ranges(wanted, 100, 1100)
            assert found == [whole[path][100:1100] for path in wanted]
            assert used.fs.cat(wanted) == whole
            used.fs.get(used.folder, str(tmp_path / "out"), recursive=True)
        assert sorted(asked[0]) == wanted
        # Files that were read a moment ago are prepared still; of the folder itself nothing can be.
        assert [paths for paths in asked[1:] if paths != [used.folder]] == []
        pulled = {
            f"{used.folder}/{file.name}": file.read_bytes() for file in (tmp_path / "out").rglob("*.dcm")
        }
        assert pulled == whole
        missing = used.fs.cat_ranges([wanted[0], f"{used.folder}/none.dcm"], 0, 5)
        assert missing[0] == whole[wanted[0]][:5]
        assert isinstance(missing[1], FileNotFoundError)

    await asyncio.to_thread(work)


class Counted:
    """Files prepared, by request, and requests released, while it is patched in."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.prepared: list[list[str]] = []
        self.released = 0
        prepare, release = Client.prepare, Client.release

        async def counted(client: Client, paths: Any, **how: Any) -> Any:
            self.prepared.append(list(paths))
            await asyncio.sleep(0.05)
            return await prepare(client, paths, **how)

        async def let_go(client: Client, prepared: Any) -> None:
            self.released += 1
            await release(client, prepared)

        patched.setattr(Client, "prepare", counted)
        patched.setattr(Client, "release", let_go)


async def test_a_file_that_is_asked_for_while_it_is_prepared_is_prepared_once(
    used: Used, ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await used.server.put(f"{used.folder}/one.dcm", ct)
    whole = await used.server.read(f"{used.folder}/one.dcm")
    counted = Counted(monkeypatch)

    def read() -> bytes:
        return bytes(used.fs.cat_file(f"{used.folder}/one.dcm"))

    first = asyncio.create_task(asyncio.to_thread(read))
    await until(lambda: len(counted.prepared) == 1)
    assert await asyncio.gather(first, *(asyncio.to_thread(read) for _ in range(3))) == 4 * [whole]
    await asyncio.to_thread(used.fs.close)
    assert len(counted.prepared) == counted.released == 1


async def test_an_open_file_whose_pin_ran_out_is_prepared_once_more(
    used: Used, slice_of_ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await used.server.put(f"{used.folder}/slice.dcm", slice_of_ct)
    whole = await used.server.read(f"{used.folder}/slice.dcm")
    counted = Counted(monkeypatch)

    def read() -> None:
        with used.fs.open(f"{used.folder}/slice.dcm", cache_type="none") as file:
            assert file.read(4) == whole[:4]
            sync(used.fs.loop, _released, file)
            for place in range(0, 400_000, 100_000):
                file.seek(place)
                assert file.read(4) == whole[place : place + 4]
        used.fs.close()

    await asyncio.to_thread(read)
    assert len(counted.prepared) == 2
    assert counted.released == 3  # the first one's twice: by what stands for its end, too


async def _released(file: Any) -> None:
    """As if it had run out."""
    await file._tickets.client.release(file._kept.request.prepared)


async def test_a_view_may_be_chosen_and_a_tree_stored(used: Used, ct: bytes, tmp_path: Path) -> None:
    token = await used.server.token("rlxi", used.folder, views=["identified"])
    for name in ("a/one.dcm", "a/b/two.dcm"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(ct)

    def work() -> None:
        used.fs.put(str(tmp_path / "a"), f"{used.folder}/a", recursive=True)
        assert used.fs.find(used.folder) == [f"{used.folder}/a/b/two.dcm", f"{used.folder}/a/one.dcm"]
        original = fsspec.filesystem("mdm", url=used.server.url, token=token, view="identified")
        assert original.cat_file(f"{used.folder}/a/one.dcm") == ct
        by_name = fsspec.filesystem("mdm", url=used.server.url, token=token)
        assert by_name.cat_file(f"/@identified{used.folder}/a/one.dcm") == ct

    await asyncio.to_thread(work)


async def test_another_process_goes_on(used: Used, ct: bytes) -> None:
    await used.server.put(f"{used.folder}/one.dcm", ct)
    whole = await used.server.read(f"{used.folder}/one.dcm")
    program = (
        "import pickle, sys; fs = pickle.load(sys.stdin.buffer); "
        f"sys.stdout.buffer.write(fs.cat_file({used.folder + '/one.dcm'!r})); fs.close()"
    )
    await asyncio.to_thread(used.fs.cat_file, f"{used.folder}/one.dcm")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program],
        input=pickle.dumps(used.fs),
        capture_output=True,
        check=True,
    )
    assert done.stdout == whole


async def test_on_an_event_loop(used: Used, ct: bytes) -> None:
    await used.server.put(f"{used.folder}/one.dcm", ct)
    whole = await used.server.read(f"{used.folder}/one.dcm")
    fs = MdmFileSystem(used.server.url, used.server.admin_token, asynchronous=True, skip_instance_cache=True)
    assert await fs._cat_file(f"{used.folder}/one.dcm", 5, 10) == whole[5:10]
    async with await fs.open_async(f"{used.folder}/one.dcm") as file:
        assert await file.read(4) == whole[:4]
        file.seek(1000)
        assert await file.read() == whole[1000:]
    assert [each["name"] for each in await fs._ls(used.folder)] == [f"{used.folder}/one.dcm"]
    await fs._close()


@pytest.mark.parametrize(
    ("given", "path", "options"),
    [
        ("mdm://mdm.example.org:8443/vo/a.dcm", "/vo/a.dcm", {"url": "https://mdm.example.org:8443"}),
        ("mdm+https://127.0.0.1:8443/vo/", "/vo", {"url": "https://127.0.0.1:8443"}),
        ("mdm://127.0.0.1:8085/vo", "/vo", {"url": "http://127.0.0.1:8085"}),
        ("mdm://[::1]:8085/", "/", {"url": "http://[::1]:8085"}),
        ("mdm:///vo/a.dcm", "/vo/a.dcm", {}),
        ("/vo/a.dcm", "/vo/a.dcm", {}),
    ],
)
def test_urls(given: str, path: str, options: dict[str, str]) -> None:
    assert MdmFileSystem._strip_protocol(given) == path
    assert MdmFileSystem._get_kwargs_from_urls(given) == options


def test_the_package_says_that_it_has_them() -> None:
    told = {each.name for each in entry_points(group="fsspec.specs")}
    assert set(MdmFileSystem.protocol) <= told


@pytest.fixture
def lied_to(fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> MdmFileSystem:
    monkeypatch.setattr("mdm_async.client.patience.FIRST", 0.001)
    monkeypatch.setattr("mdm_async.client.patience.LONGEST", 0.01)
    return MdmFileSystem(fake.url, TOKEN, asynchronous=True, skip_instance_cache=True)


@pytest.mark.parametrize("lie", ["ignored", "short", "shifted", "unsaid"])
async def test_a_server_that_lies_about_a_range_gives_no_bytes(
    fake: FakeServer, client: Client, lied_to: MdmFileSystem, lie: str
) -> None:
    content = bytes(range(256)) * 1000
    fake.files["/a.dcm"] = content
    fake.faults.lie_about_range = lie
    try:
        for read in (client.read("/a.dcm", 1000, 3000), lied_to._cat_file("/a.dcm", 1000, 3000)):
            try:
                found = await read
            except (errors.WrongContent, errors.Unavailable):
                continue
            # What was ignored or told short may be read on; never is it something else.
            assert lie in ("ignored", "short")
            assert found == content[1000:3000]
    finally:
        await lied_to._close()
