"""The blocking client: the asynchronous one's methods, waited for."""

import asyncio
import collections.abc
import inspect
import io
import pydoc
import signal
import sys
import threading
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pydicom
import pytest

import mdm_async
from mdm_async import errors
from mdm_async.client import BlockingClient, Client, twin
from mdm_async.client.blocking import Blocking
from tests.client.fake_server import TOKEN, FakeServer
from tests.patience import PATIENCE

PAIRS = [
    (kind.__orig_bases__[0].__args__[0], kind)
    for kind in vars(twin).values()
    if inspect.isclass(kind) and issubclass(kind, Blocking) and kind is not Blocking
]


def methods(kind: type) -> dict[str, Callable[..., Any]]:
    return {name: each for name, each in inspect.getmembers(kind, callable) if not name.startswith("_")}


def test_every_part_of_the_client_has_a_twin():
    with mdm_async.connect("http://127.0.0.1:1", "t") as mdm:
        twins = {name: type(part) for name, part in vars(mdm).items() if not name.startswith("_")}
    parts = {name: type(part) for name, part in vars(Client("http://127.0.0.1:1", "t")).items()}
    del parts["wire"]
    assert parts.keys() == twins.keys()
    assert {(parts[name], twins[name]) for name in parts} | {(Client, BlockingClient)} == set(PAIRS)


@pytest.mark.parametrize(("kind", "blocking"), PAIRS)
def test_both_have_the_same_methods_with_the_same_signatures(kind, blocking):
    assert methods(kind).keys() == methods(blocking).keys()
    for name, method in methods(kind).items():
        own = methods(blocking)[name]
        given, waited = inspect.signature(method), inspect.signature(own)
        assert given.parameters == waited.parameters, name
        assert not inspect.iscoroutinefunction(own)
        assert not inspect.isasyncgenfunction(own)
        assert own.__doc__, name
        if (kind, name) == (Client, "open"):  # Each gives a file of its own world.
            continue
        assert own.__doc__ == method.__doc__
        if inspect.isasyncgenfunction(method):
            (item, _) = typing.get_args(typing.get_type_hints(method)["return"])
            assert typing.get_args(waited.return_annotation) == (item,)
            assert typing.get_origin(waited.return_annotation) is collections.abc.Iterator
        else:
            assert given.return_annotation == waited.return_annotation


def test_help_tells_what_there_is():
    shown = pydoc.render_doc(BlockingClient.get, renderer=pydoc.plaintext)
    assert "on_bytes" in shown
    assert "Pull a view" in shown


@pytest.fixture
async def blocking(fake: FakeServer) -> Any:
    """Runs what it is given with a blocking client of the fake server, in a thread."""

    async def run(work: Callable[[BlockingClient], Any]) -> Any:
        def connected() -> Any:
            with mdm_async.connect(fake.url, TOKEN) as mdm:
                return work(mdm)

        return await asyncio.to_thread(connected)

    return run


async def test_what_goes_in_comes_out_without_a_loop_in_sight(blocking, image, tmp_path):
    def work(mdm: BlockingClient) -> list[str]:
        mdm.mkdir("/vo", parents=True)
        mdm.put(io.BytesIO(image), "/vo/a.dcm")
        for entry in mdm.ls("/vo"):
            mdm.get(entry, tmp_path)
        mdm.rm("/vo/a.dcm")
        return [entry.name for entry in mdm.walk()]

    assert await blocking(work) == ["vo"]
    assert (tmp_path / "a.dcm").read_bytes() == image


async def test_errors_come_through_as_they_are(blocking):
    with pytest.raises(FileNotFoundError):
        await blocking(lambda mdm: mdm.stat("/nothing"))
    with pytest.raises(errors.NotFound):
        await blocking(lambda mdm: list(mdm.ls("/nothing")))


async def test_an_open_view_is_a_binary_file(fake, blocking, image):
    fake.files["/a"] = image

    def work(mdm: BlockingClient) -> None:
        with mdm.open("/a", sealed=True) as file:
            assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
            assert file.read(10) == image[:10]
            assert file.seek(-5, io.SEEK_END) == len(image) - 5
            assert file.read() == image[-5:]
            assert file.read() == b""
            file.seek(1_000_000)
            assert file.read(1_000_000) == image[1_000_000:2_000_000]
            assert file.tell() == 2_000_000

    await blocking(work)
    assert fake.calls["releaseFiles"] == fake.calls["prepareToGet"] == 1


async def test_pydicom_reads_an_open_view(fake, blocking, ct):
    fake.files["/ct.dcm"] = ct
    name = await blocking(lambda mdm: pydicom.dcmread(mdm.open("/ct.dcm")).PatientName)
    assert name == pydicom.dcmread(io.BytesIO(ct)).PatientName


async def test_what_one_call_lists_may_be_given_to_the_next(fake, blocking, image, tmp_path):
    fake.directories.add("/vo")
    fake.files |= {"/vo/a": image, "/vo/b": image}
    assert (await blocking(lambda mdm: mdm.stat_all(mdm.ls("/vo")))).keys() == {"/vo/a", "/vo/b"}
    pulled = await blocking(lambda mdm: mdm.get_all((one.path for one in mdm.ls("/vo")), folder=tmp_path))
    assert pulled.keys() == {"/vo/a", "/vo/b"}


async def test_a_client_that_is_asked_from_within_its_own_call_says_so(fake, blocking):
    class Paths:
        def __init__(self, mdm: BlockingClient) -> None:
            self.mdm = mdm

        def __iter__(self) -> Iterator[Any]:
            return iter(self.mdm.ls("/"))

    with pytest.raises(RuntimeError, match="within one of its own calls"):
        await blocking(lambda mdm: mdm.stat_all(Paths(mdm)))


async def test_an_iteration_given_up_early_is_ended(fake, blocking):
    fake.directories |= {"/vo", *(f"/vo/{n:04}" for n in range(2500))}

    def work(mdm: BlockingClient) -> str:
        entries: Iterator[Any] = mdm.ls("/vo")
        first = next(entries).name
        entries.close()  # type: ignore[attr-defined]
        return str(first)

    assert await blocking(work) == "0000"
    assert fake.calls["ls"] == 1


async def test_an_interrupted_transfer_is_cleaned_up_before_the_interrupt_goes_on(fake, image, tmp_path):
    fake.files["/a"] = image
    fake.faults.stall_at = 1_500_000
    code = (
        "import mdm_async, sys\n"
        f"with mdm_async.connect({fake.url!r}, {TOKEN!r}) as mdm:\n"
        f"    try: mdm.get('/a', {str(tmp_path / 'a')!r})\n"
        "    except KeyboardInterrupt: print('interrupted'); sys.exit(7)\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    part = tmp_path / "a.part"
    async with asyncio.timeout(PATIENCE):
        while not part.exists() or part.stat().st_size < 1_200_000:  # noqa: ASYNC110 — a file has no event
            await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, _ = await process.communicate()
    assert (process.returncode, out) == (7, b"interrupted\n")
    assert (tmp_path / "a.part.json").exists()
    assert fake.calls["releaseFiles"] == 1


async def test_a_file_left_open_does_not_outlive_its_client(fake, blocking, image):
    fake.files["/a"] = image
    file = await blocking(lambda mdm: mdm.open("/a"))
    with pytest.raises(RuntimeError, match="closed"):
        file.read(1)
    file.close()


async def test_its_thread_ends_with_it(blocking):
    await blocking(lambda mdm: mdm.stat("/"))
    assert not [each for each in threading.enumerate() if each.name == "mdm client"]
