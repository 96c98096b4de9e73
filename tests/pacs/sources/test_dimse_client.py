"""An archive that speaks DIMSE: what is taken for an answer of its, how long it is waited for, and how much is held."""

import asyncio
import tracemalloc
from dataclasses import replace

import pytest

from mdm_async.errors import BadQuery, MdmError, NotFound, PeerFailed, SourceAway, SourceBusy, WrongContent
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.pacs.dimse.awaited import Awaited
from mdm_async.pacs.retrieval.archive import DimseSource, dimse_source
from mdm_async.pacs.source import Said
from mdm_async.settings import load
from tests.faults.conditions import until
from tests.pacs.devices import CT, TITLE, Pacs, image
from tests.pacs.sources.fake_dimse import Asked, Behaviour, FakeDimse, fake_dimse
from tests.patience import PATIENCE

IMAGE = image()
ONE = PacsSource("hospital", "1.2.3", "1.2.3.4", IMAGE.instance, sop_class=CT)
GET, FIND = "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.5.1.4.1.2.2.1"


def source_of(fake: FakeDimse, **more: object) -> DimseSource:
    section = {"name": "hospital", "ae": "ARCHIVE", "host": "127.0.0.1", "port": fake.port} | more
    settings = load(overrides={"pacs": {"sources": [section]}, "transfers": {"slowest": 1000}})
    source = dimse_source(settings.pacs.sources[0], settings, Awaited("MDM"))
    source.patience, source.query_seconds = 0.5, 2.0
    return source


async def fetched(source: DimseSource) -> bytes:
    async with source.instance(ONE) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def gives(asked: Asked) -> None:
    await asked.message()
    get, context = asked.context, await asked.begin_store(CT, IMAGE.instance)
    await asked.send_data_set(context, IMAGE.data_set)
    assert await asked.taken() == 0
    asked.context = get
    await asked.answer(0xFF00)
    await asked.answer(0)


async def test_an_instance_comes_as_a_file_with_its_own_bytes_and_meta_of_ours() -> None:
    async with fake_dimse(gives) as fake:
        file = await fetched(source_of(fake))
        await until(lambda: fake.ended)
    assert file.endswith(IMAGE.data_set)
    assert file[128:132] == b"DICM"
    assert fake.ended == [5]  # released


async def test_why_an_archive_cannot_be_reached_is_told() -> None:
    async with fake_dimse(gives) as fake:
        source, nameless = source_of(fake), source_of(fake, host="archive.invalid", plain=True)
    for one, why in ((source, "refuses"), (nameless, "DNS")):
        one.patience = 30.0
        with pytest.raises(SourceAway, match=f"cannot be reached: .*{why}"):
            await one.echo()


def ends(status: int) -> Behaviour:
    async def serve(asked: Asked) -> None:
        await asked.message()
        await asked.answer(status)

    return serve


async def another_instance(asked: Asked) -> None:
    await asked.message()
    await asked.send_data_set(await asked.begin_store(CT, "1.2.3.4.5.6"), IMAGE.data_set)
    await asked.reader.read()


async def twice(asked: Asked) -> None:
    await asked.message()
    for _ in range(2):
        await asked.send_data_set(await asked.begin_store(CT, IMAGE.instance), IMAGE.data_set)
        await asked.taken()


async def _half(asked: Asked) -> int:
    await asked.message()
    context = await asked.begin_store(CT, IMAGE.instance)
    await asked.send_data_set(context, IMAGE.data_set[:20_000], whole=False)
    return context


async def aborts_in_the_middle(asked: Asked) -> None:
    await _half(asked)
    await asked.send(b"\7\0\0\0\0\4\0\0\0\0")


async def breaks_off_in_a_pdv(asked: Asked) -> None:
    context = await _half(asked)
    await asked.send(b"\4\0\0\0\x10\0\0\0\x0f\xfc" + bytes((context, 0)) + bytes(100))
    asked.writer.close()


async def says_it_is_done_in_the_middle(asked: Asked) -> None:
    await _half(asked)
    await asked.answer(0)


async def falls_silent_in_the_middle(asked: Asked) -> None:
    await _half(asked)
    await asked.reader.read()


async def drips(asked: Asked) -> None:
    context = await _half(asked)
    while True:
        await asked.send_data_set(context, b"\0\0", whole=False)
        await asked.message() if asked.reader.at_eof() else await asyncio.sleep(0.05)


async def says_nothing(asked: Asked) -> None:
    await asked.reader.read()


async def answers_another(asked: Asked) -> None:
    await asked.message()
    await asked.answer(0, to=4711)


async def offers_another_class(asked: Asked) -> None:
    await asked.message()
    said = asked.contexts.copy()
    asked.contexts[("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1")] = said[(CT, "1.2.840.10008.1.2.1")]
    await asked.begin_store("1.2.840.10008.5.1.4.1.1.4", IMAGE.instance)
    await asked.reader.read()


@pytest.mark.parametrize(
    ("serve", "error"),
    [
        (ends(0x0000), NotFound),
        (ends(0xB000), PeerFailed),
        (ends(0xA702), PeerFailed),
        (ends(0xC001), PeerFailed),
        (ends(0x0124), SourceAway),
        (another_instance, WrongContent),
        (offers_another_class, PeerFailed),
        (twice, PeerFailed),
        (aborts_in_the_middle, SourceAway),
        (breaks_off_in_a_pdv, SourceAway),
        (says_it_is_done_in_the_middle, PeerFailed),
        (falls_silent_in_the_middle, SourceAway),
        (drips, SourceAway),
        (says_nothing, SourceAway),
        (answers_another, PeerFailed),
    ],
)
async def test_what_is_no_good_answer_to_a_c_get_is_told_apart_and_quotes_nobody(
    serve: Behaviour, error: type[MdmError]
) -> None:
    async with fake_dimse(serve) as fake, asyncio.timeout(PATIENCE):
        source = source_of(fake, max_associations=1)
        for _ in range(2):  # The place of the one that failed is free again.
            with pytest.raises(error) as failed:
                await fetched(source)
    for word in (ONE.instance, ONE.study, "127.0.0.1", "ARCHIVE"):
        assert word not in str(failed.value)


async def test_an_archive_that_tells_no_class_of_an_instance_is_not_asked_for_it_by_c_get() -> None:
    async with fake_dimse(finds(match(1))) as fake, asyncio.timeout(PATIENCE):
        with pytest.raises(PeerFailed, match="does not tell the class"):
            async with source_of(fake).instance(replace(ONE, sop_class="")):
                pass
    async with fake_dimse(finds()) as fake, asyncio.timeout(PATIENCE):
        with pytest.raises(NotFound):
            async with source_of(fake).instance(replace(ONE, sop_class="")):
                pass


async def test_an_archive_without_c_get_is_told_so() -> None:
    async with fake_dimse(says_nothing) as fake:
        fake.unknown.add(GET)
        with pytest.raises(SourceAway, match="offers no C-GET"):
            await fetched(source_of(fake))


async def test_an_archive_that_has_no_association_free_is_busy_and_not_away(pacs: Pacs) -> None:
    one = {"name": "hospital", "ae": TITLE, "host": "127.0.0.1", "port": pacs.port}
    settings = load(overrides={"pacs": {"ae_title": "ONE", "sources": [one]}})
    source = dimse_source(settings.pacs.sources[0], settings, Awaited("ONE"))
    device = await (await pacs.connect()).associate(ae="ONE")
    with pytest.raises(SourceBusy, match="as many associations as it may"):
        await source.echo()
    await device.release()


async def test_a_large_instance_is_never_held_whole() -> None:
    size = 64 << 20

    async def gives_much(asked: Asked) -> None:
        await asked.message()
        get, context = asked.context, await asked.begin_store(CT, IMAGE.instance)
        piece = bytes(60_000)
        for _ in range(size // len(piece)):
            await asked.send_data_set(context, piece, whole=False)
        await asked.send_data_set(context, piece)
        await asked.taken()
        asked.context = get
        await asked.answer(0)

    async with fake_dimse(gives_much) as fake:
        tracemalloc.start()
        try:
            came = 0
            async with source_of(fake).instance(ONE) as chunks:
                async for chunk in chunks:
                    came += len(chunk)
            assert came > size
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()


def match(number: int, name: bytes = b"DOE^JANE", *, character_set: bytes = b"") -> bytes:
    """In explicit VR, which is proposed first."""
    elements = [
        (0x0008, 0x0005, b"CS", character_set),
        (0x0010, 0x0010, b"PN", name),
        (0x0020, 0x000D, b"UI", f"1.2.{number}".encode()),
    ]
    said = b""
    for group, tag, vr, value in elements:
        padded = value + (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
        said += group.to_bytes(2, "little") + tag.to_bytes(2, "little") + vr
        said += len(padded).to_bytes(2, "little") + padded
    return said


def finds(*matches: bytes, status: int = 0) -> Behaviour:
    async def serve(asked: Asked) -> None:
        await asked.message()
        for one in matches:
            await asked.answer(0xFF00, one)
        await asked.answer(status)

    return serve


async def asked_for(
    source: DimseSource, *, begin: int = 0, size: int = 2, most: int = 100
) -> list[list[Said]]:
    pages: list[list[Said]] = []
    found = source.studies([("PatientName", "DOE*")], begin=begin, size=size)
    try:
        async for page in found:
            pages.append(page)
            if len(pages) == most:
                break
    finally:
        await found.aclose()
    return pages


def uids(pages: list[list[Said]]) -> list[list[str]]:
    return [[one["0020000D"]["Value"][0] for one in page] for page in pages]


async def test_matches_come_page_by_page_from_the_one_that_is_asked_for_on() -> None:
    async with fake_dimse(finds(*map(match, range(5)))) as fake:
        source = source_of(fake)
        assert uids(await asked_for(source)) == [["1.2.0", "1.2.1"], ["1.2.2", "1.2.3"], ["1.2.4"]]
        assert uids(await asked_for(source, begin=3)) == [["1.2.3", "1.2.4"]]
        assert await asked_for(source, begin=5) == []


async def test_names_are_read_by_the_character_set_that_the_archive_tells() -> None:
    said = match(1, "Mähler^Jörg".encode("latin-1"), character_set=b"ISO_IR 100")
    async with fake_dimse(finds(said)) as fake:
        (page,) = await asked_for(source_of(fake))
    assert page[0]["00100010"]["Value"] == ["Mähler^Jörg"]


async def test_who_wants_no_more_has_the_query_cancelled_and_the_association_released() -> None:
    cancelled: list[int] = []

    async def serve(asked: Asked) -> None:
        id_ = (await asked.message()).MessageID
        for number in range(4):
            await asked.answer(0xFF00, match(number))
        heard = await asked.message()
        cancelled.append(heard.CommandField)
        assert heard.MessageIDBeingRespondedTo == id_
        asked.request.AffectedSOPClassUID, asked.request.CommandField = FIND, 0x20
        await asked.answer(0xFE00, to=id_)

    async with fake_dimse(serve) as fake:
        assert uids(await asked_for(source_of(fake), most=1)) == [["1.2.0", "1.2.1"]]
        await until(lambda: fake.ended)
    assert cancelled == [0x0FFF]
    assert fake.ended == [5]


async def without_end(asked: Asked) -> None:
    await asked.message()
    match_ = asked.answering(0xFF00, match(1))
    while True:
        await asked.send(match_)
        await asyncio.sleep(0)


async def slowly(asked: Asked) -> None:
    await asked.message()
    while True:
        await asked.answer(0xFF00, match(1))
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("serve", "error"),
    [
        (finds(match(1, b"x" * 20_000)), PeerFailed),
        (finds(b"\x10\0\x10\0PN\xff\0x"), PeerFailed),
        (finds(status=0xA700), PeerFailed),
        (finds(status=0x0124), SourceAway),
        (slowly, SourceAway),
        (says_nothing, SourceAway),
    ],
)
async def test_no_more_is_taken_for_matches_than_may_be(serve: Behaviour, error: type[MdmError]) -> None:
    async with fake_dimse(serve) as fake, asyncio.timeout(60):
        with pytest.raises(error):
            await asked_for(source_of(fake))


async def test_an_archive_that_goes_on_after_it_was_told_to_stop_is_left() -> None:
    async with fake_dimse(without_end) as fake, asyncio.timeout(60):
        assert uids(await asked_for(source_of(fake, max_associations=1), most=1)) == [["1.2.1", "1.2.1"]]
        await until(lambda: fake.ended)
    assert fake.ended == [0]


async def test_studies_are_not_asked_for_by_what_is_not_theirs() -> None:
    async with fake_dimse(says_nothing) as fake:
        with pytest.raises(BadQuery, match="SeriesDescription"):
            async for _ in source_of(fake).studies([("SeriesDescription", "x")], begin=0, size=1):
                pass


async def test_a_series_without_a_uid_is_not_asked_into() -> None:
    """What stood in its place would be a wild card."""
    async with fake_dimse(finds(match(1))) as fake:
        with pytest.raises(PeerFailed, match="without its UID"):
            async for _ in source_of(fake).instances({"0020000D": {"Value": ["1.2.1"]}}, None, size=1):
                pass


async def test_no_more_is_asked_at_once_than_is_allowed() -> None:
    open_, most = set[int](), 0

    async def serve(asked: Asked) -> None:
        nonlocal most
        open_.add(id(asked))
        most = max(most, len(open_))
        await gives(asked)
        open_.discard(id(asked))

    async with fake_dimse(serve) as fake:
        source = source_of(fake, max_associations=2)
        await asyncio.gather(*(fetched(source) for _ in range(8)))
    assert most == 2
