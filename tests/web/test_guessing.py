"""Whoever may not know a patient does not find out by what we refuse: whichever way names and texts come, they are held
against the patient's identifiers so often and no more."""

import asyncio
import io
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from itertools import islice
from typing import Any

import pydicom
import pytest

from mdm_async.catalog.namespace import moves
from mdm_async.errors import MdmError
from mdm_async.images.names import comparing, guesses, revealing
from mdm_async.images.names.guesses import CHARACTERS, DATES, PER_HIT, Guesses
from mdm_async.images.names.path_template import pseudonym
from mdm_async.images.names.revealing import NameGuard
from mdm_async.images.reading.shelf import Found, Shelf
from mdm_async.keys.store import untold
from tests.conftest import Server, running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.dav.face import Dav
from tests.web.dav.test_dead_properties import update
from tests.web.made_images import made

BORN = "19301231"
LOOKED_AT = 20
Ask = Callable[[list[str]], Awaitable[int]]
"""Says these dates of the patient; 200, 400 when one of them is his birth date, 403 when no more may be said."""


@pytest.fixture(scope="module")
async def limited(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    dsn = await postgres.fresh_database(migrated)
    at = tmp_path_factory.mktemp("limited") / "data"
    async with running_server(at, dsn, naming={"refused": 20, "looked_at": LOOKED_AT}) as server:
        yield server


def image(seed: int, born: str = BORN) -> bytes:
    found = pydicom.dcmread(io.BytesIO(made(name=f"Qvxzw{seed}^Wjqkz", seed=seed)))
    found.PatientBirthDate, found.PatientID, found.AccessionNumber = born, "QZX-77", f"ACC{seed:05}"
    out = io.BytesIO()
    found.save_as(out, enforce_file_format=True)
    return out.getvalue()


def days() -> Iterator[str]:
    """Among which is none that anybody was born on."""
    day = date(1940, 1, 1)
    while True:
        yield day.strftime("%Y%m%d")
        day += timedelta(1)


class Hunter:
    """Who has all rights to a file but that to know its patient."""

    def __init__(self, server: Server, at: str, token: str) -> None:
        self.server, self.at, self.token = server, at, token
        self.dav = Dav(server, at, token)
        self.made = 0

    @classmethod
    async def of(cls, server: Server, seed: int) -> "Hunter":
        at = await server.directory()
        await server.put(f"{at}/a.dcm", image(seed))
        attributes = [{"name": "n"}, {"name": "again"}]
        made_ = await server.call(
            "POST",
            "/meta/v1/schemas/create",
            token=server.admin_token,
            json={"surl": at, "name": "mine", "attributes": attributes},
        )
        assert made_.status == 201, made_.body
        return cls(server, at, await server.token("pdrwlxgs", at))

    async def post(self, where: str, **body: Any) -> int:
        answer = await self.server.call("POST", where, token=self.token, json=body)
        if answer.status == 207 or "files" in answer.tree:
            code = answer.tree["files"][0]["status"]["statusCode"]
            return {"SRM_SUCCESS": 200, "SRM_INVALID_REQUEST": 400, "SRM_AUTHORIZATION_FAILURE": 403}[code]
        return answer.status

    async def mv(self, some: list[str]) -> int:
        """A directory of its own, with a copy of the file in it."""
        self.made += 1
        name, before = f"{'x'.join(some)}-{self.made}", f"m{self.made}"
        await self.server.srm("mkdir", token=self.token, surl=f"{self.at}/{before}")
        copied = await self.dav.call("COPY", "a.dcm", Destination=self.dav.path(f"{before}/a"))
        assert copied.status == 201, copied.body
        surls = {"fromSURL": f"{self.at}/{before}", "toSURL": f"{self.at}/{name}"}
        answer = await self.server.srm("mv", token=self.token, expect=None, **surls)
        codes = {"SRM_SUCCESS": 200, "SRM_INVALID_REQUEST": 400, "SRM_AUTHORIZATION_FAILURE": 403}
        return codes[answer["returnStatus"]["statusCode"]]

    async def copy(self, some: list[str]) -> int:
        self.made += 1
        to = self.dav.path(f"{'x'.join(some)}c{self.made}")
        status = (await self.dav.call("COPY", "a.dcm", Destination=to)).status
        return 200 if status == 201 else status

    async def link(self, some: list[str]) -> int:
        self.made += 1
        template = f"{'x'.join(some)}/l{self.made}/{{instance}}.dcm"
        body = {"surls": [f"{self.at}/a.dcm"], "target": self.at, "view": "basic", "template": template}
        return await self.post("/admin/v1/link", **body)

    async def replica(self, some: list[str]) -> int:
        self.made += 1
        url = f"https://x.example/{'x'.join(some)}/r{self.made}"
        return await self.post(
            "/catalog/v1/replicas/add", replicas=[{"surl": f"{self.at}/a.dcm", "url": url}]
        )

    async def proppatch(self, some: list[str]) -> int:
        status = (await self.dav.call("PROPPATCH", "a.dcm", update("x".join(some)))).status
        return 200 if status == 207 else status

    async def meta(self, some: list[str]) -> int:
        return await self.post("/meta/v1/set", surls=[f"{self.at}/a.dcm"], values={"mine.n": "x".join(some)})


FACES: dict[str, Callable[[Hunter], Ask]] = {
    "mv": lambda hunter: hunter.mv,
    "COPY": lambda hunter: hunter.copy,
    "link": lambda hunter: hunter.link,
    "replicas": lambda hunter: hunter.replica,
    "PROPPATCH": lambda hunter: hunter.proppatch,
    "meta set": lambda hunter: hunter.meta,
}


def in_texts(all_: Iterator[str], count: int, each: int = 25) -> list[list[str]]:
    return [list(islice(all_, each)) for _ in range(count // each)]


@pytest.mark.parametrize("face", FACES)
async def test_a_hunt_for_a_birth_date_ends_at_the_limit(limited: Server, face: str) -> None:
    """Of whatever size the texts are; and then nothing is learnt, not even of the right one."""
    hunter = await Hunter.of(limited, 100 + list(FACES).index(face))
    ask = FACES[face](hunter)
    texts = in_texts(days(), DATES + 100)
    one_by_one = [await ask(some) for some in texts[:12]]
    assert one_by_one == [200] * 12
    assert await ask([BORN]) == 400
    side_by_side = await asyncio.gather(*(ask(some) for some in texts[12:]))
    assert set(side_by_side) == {200, 403}
    let = 25 * (12 + side_by_side.count(200))
    assert DATES * 0.7 <= let <= DATES - DATES // PER_HIT
    left = list(islice(days(), 2000, 2050))
    assert sum([await ask([day]) == 200 for day in left[:30]]) < 30
    assert await ask([*left[30:], BORN]) == 403
    assert await ask(texts[0]) == 200, "which was said before"


async def test_all_ways_and_all_studies_of_a_patient_count_together(limited: Server) -> None:
    hunter = await Hunter.of(limited, 7)
    await limited.put(f"{hunter.at}/b.dcm", image(8))
    texts, let = iter(in_texts(days(), DATES + 300)), 0
    for ask in (hunter.copy, hunter.replica, hunter.proppatch, hunter.link):
        let += sum([await ask(next(texts)) == 200 for _ in range(4)])
    for some in texts:
        body = {"surls": [f"{hunter.at}/b.dcm"], "values": {"mine.n": "x".join(some)}}
        let += await hunter.post("/meta/v1/set", **body) == 200
    assert let * 25 <= DATES
    assert let * 25 > DATES - 50


async def test_files_that_one_stores_oneself_tell_nothing_of_those_that_others_brought(
    limited: Server,
) -> None:
    """A made-up patient with the known ID and the right birth date is not refused where the real one is."""
    hunter = await Hunter.of(limited, 50)
    for some in in_texts(days(), DATES):
        assert await hunter.meta(some) == 200
    assert await hunter.meta(["20110203"]) == 403
    for seed, born in ((51, BORN), (52, "19301230")):
        await limited.put(f"{hunter.at}/own{seed}.dcm", image(seed, born), token=hunter.token)
        body = {"surls": [f"{hunter.at}/own{seed}.dcm"], "values": {"mine.n": "20110203"}}
        assert await hunter.post("/meta/v1/set", **body) == 200


async def test_who_is_told_to_wait_is_told_how_long(limited: Server) -> None:
    hunter = await Hunter.of(limited, 20)
    for some in in_texts(days(), DATES):
        assert await hunter.proppatch(some) == 200
    answer = await hunter.dav.call("PROPPATCH", "a.dcm", update("scan of 20110203"))
    assert answer.status == 403
    assert b"try again in 1 hour" in answer.body
    assert 0 < int(answer.headers["Retry-After"]) <= 3600
    much = await hunter.dav.call("PROPPATCH", "a.dcm", update("x".join(islice(days(), 900, 1700))))
    assert b"say less at once" in much.body
    assert await hunter.proppatch(["of the night"]) == 200


async def test_halving_what_hit_costs_as_much_as_it_says(limited: Server) -> None:
    """Each hit takes a part of what may be said, and what was said in it is not free."""
    hunter = await Hunter.of(limited, 30)
    some = [*islice(days(), DATES // 2 - 1), BORN]
    answers = []
    while len(some) > 1:
        answers.append(await hunter.proppatch(some))
        if answers[-1] == 403:
            break
        some = some[len(some) // 2 :]
    assert answers == [400, 400, 403]


async def test_names_and_texts_are_compared_off_the_event_loop_and_in_pieces(
    limited: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hunter = await Hunter.of(limited, 40)
    ran: list[tuple[str, int]] = []

    @asynccontextmanager
    async def watched(face: str) -> AsyncIterator[None]:
        ran.clear()
        yield
        assert ran, face
        assert all(thread.startswith("cipher") for thread, _ in ran), face
        assert all(size <= comparing.READ for _, size in ran), face

    read, held = comparing._read, comparing._held

    def reads(texts: list[str], *more: Any) -> Any:
        ran.append((threading.current_thread().name, sum(map(len, texts))))
        return read(texts, *more)

    def holds(asked: Any) -> Any:
        ran.append((threading.current_thread().name, 0))
        return held(asked)

    monkeypatch.setattr(comparing, "_read", reads)
    monkeypatch.setattr(comparing, "_held", holds)
    for face, ask in FACES.items():
        async with watched(face):
            assert await ask(hunter)(["quiet"]) == 200
    async with watched("many"):
        urls = [f"https://x.example/{n}{'quiet' * 200}" for n in range(40)]
        many = [{"surl": f"{hunter.at}/a.dcm", "url": url} for url in urls]
        assert await hunter.post("/catalog/v1/replicas/add", replicas=many) == 200
    assert len(ran) >= 40_000 // comparing.READ


async def test_a_client_that_goes_away_ends_the_comparing_after_the_piece_at_hand(
    limited: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), threading.Event()
    loop, read, pieces = asyncio.get_running_loop(), comparing._read, 0

    def waits(texts: list[str], *more: Any) -> Any:
        nonlocal pieces
        pieces += 1
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(60)
        return read(texts, *more)

    monkeypatch.setattr(comparing, "_read", waits)
    work = asyncio.create_task(comparing.read(limited.house.cipher, [f"{n} " * 3000 for n in range(9)]))
    await begun.wait()
    work.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert pieces == 1


def few_letters(server: Server, monkeypatch: pytest.MonkeyPatch, letters: int) -> None:
    few = (DATES, letters, CHARACTERS)
    monkeypatch.setattr(guesses, "_BURSTS", few)
    monkeypatch.setattr(server.house.guesses.debts, "bursts", few)


def word(seed: int, letters: int = 240) -> str:
    return "".join(random.Random(seed).choices("bcdfghjklmnp", k=letters))


async def test_a_directory_that_got_its_name_uncompared_counts_when_it_is_compared(
    limited: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a directory that is moved the nearest entries alone are compared: the rest may be guesses by then."""
    few_letters(limited, monkeypatch, 1000)
    hunter = await Hunter.of(limited, 60)

    async def srm(operation: str, **surls: str) -> str:
        surls = {key: f"{hunter.at}/{path}" for key, path in surls.items()}
        answer = await limited.srm(operation, token=hunter.token, expect=None, **surls)
        return str(answer["returnStatus"]["statusCode"])

    for path in (
        "p0",
        "p0/x",
        "p0/x/many",
        "p0/x/z",
        "p0/x/z/y",
        *(f"p0/x/many/{n}" for n in range(LOOKED_AT)),
    ):
        assert await srm("mkdir", surl=path) == "SRM_SUCCESS"
    copied = await hunter.dav.call("COPY", "a.dcm", Destination=hunter.dav.path("p0/x/z/y/a"))
    assert copied.status == 201
    told, name = [], "x"
    for n in range(8):
        assert await srm("mv", fromSURL=f"p{n}/{name}", toSURL=f"p{n}/{word(n)}") == "SRM_SUCCESS"
        name = word(n)
        assert await srm("mv", fromSURL=f"p{n}/{name}/many", toSURL="many") == "SRM_SUCCESS"
        told.append(await srm("mv", fromSURL=f"p{n}", toSURL=f"p{n + 1}"))
        if told[-1] != "SRM_SUCCESS":
            break
        assert await srm("mv", fromSURL="many", toSURL=f"p{n + 1}/{name}/many") == "SRM_SUCCESS"
    assert told == ["SRM_SUCCESS"] * 4 + ["SRM_AUTHORIZATION_FAILURE"]


async def as_registered(server: Server, guids: list[str]) -> None:
    async with server.house.database.acquire() as db:
        await db.execute(
            "update images set brought_by = null where id in"
            " (select image from entries where guid = any($1::uuid[]))",
            guids,
        )


@pytest.mark.parametrize("registered", [False, True])
async def test_names_that_files_had_before_they_were_here_count(
    limited: Server, monkeypatch: pytest.MonkeyPatch, registered: bool
) -> None:
    few_letters(limited, monkeypatch, 300)
    hunter = await Hunter.of(limited, 61 + registered)
    for name in ("d", "d/e"):
        await limited.srm("mkdir", token=hunter.token, surl=f"{hunter.at}/{name}")
    guids = [
        (await limited.put(f"{hunter.at}/d/e/{word(n)}", image(70 + n + 10 * registered)))["guid"]
        for n in range(2)
    ]
    if registered:
        await as_registered(limited, guids)
    surls = {"fromSURL": f"{hunter.at}/d/e", "toSURL": f"{hunter.at}/f"}
    answer = await limited.srm("mv", token=hunter.token, expect=None, **surls)
    wanted = "SRM_AUTHORIZATION_FAILURE" if registered else "SRM_SUCCESS"
    assert answer["returnStatus"]["statusCode"] == wanted


async def test_names_that_the_server_made_cost_nothing(
    limited: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an archive's instances, and of a project's entries; but those that look so alone do."""
    few_letters(limited, monkeypatch, 150)
    hunter = await Hunter.of(limited, 72)
    served = limited.house.views.get("basic")
    assert served is not None
    for directory in ("d", "e"):
        await limited.srm("mkdir", token=hunter.token, surl=f"{hunter.at}/{directory}")
    guids, lfns = [], []
    for seed in range(110, 150):
        bytes_ = image(seed)
        instance = pydicom.dcmread(io.BytesIO(bytes_)).SOPInstanceUID + ("" if seed < 130 else ".1")
        lfns.append(
            f"{hunter.at}/{'d' if seed < 130 else 'e'}/{pseudonym('instance', instance, served.key)}.dcm"
        )
        guids.append((await limited.put(lfns[-1], bytes_))["guid"])
    link = {"surls": lfns[:20], "target": hunter.at, "view": "basic", "template": "f/{instance}.dcm"}
    assert await hunter.post("/admin/v1/link", **link) == 200
    await as_registered(limited, guids)
    told = {}
    for directory in ("d", "f", "e"):
        surls = {"fromSURL": f"{hunter.at}/{directory}", "toSURL": f"{hunter.at}/{directory}{directory}"}
        answer = await limited.srm("mv", token=hunter.token, expect=None, **surls)
        told[directory] = answer["returnStatus"]["statusCode"]
    assert told == {"d": "SRM_SUCCESS", "f": "SRM_SUCCESS", "e": "SRM_AUTHORIZATION_FAILURE"}


async def test_a_file_that_takes_the_place_of_one_that_is_compared_gets_no_name(
    limited: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hunter = await Hunter.of(limited, 64)
    await limited.put(f"{hunter.at}/own", image(90, "20000101"), token=hunter.token)
    silent = NameGuard.demand_silent

    async def slow(*given: Any) -> None:
        await silent(*given)
        monkeypatch.setattr(NameGuard, "demand_silent", silent)
        to = hunter.dav.path("own")
        assert (await hunter.dav.call("MOVE", "a.dcm", Destination=to, Overwrite="T")).status == 204

    monkeypatch.setattr(NameGuard, "demand_silent", slow)
    surls = {"fromSURL": f"{hunter.at}/own", "toSURL": f"{hunter.at}/{BORN}"}
    answer = await limited.srm("mv", token=hunter.token, expect=None, **surls)
    assert answer["returnStatus"]["statusCode"] == "SRM_FILE_BUSY"


@pytest.mark.parametrize(("name", "told"), [(BORN, "SRM_INVALID_REQUEST"), ("other", "SRM_SUCCESS")])
async def test_a_file_that_comes_into_a_directory_while_its_name_is_compared_is_compared_too(
    limited: Server, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    hunter = await Hunter.of(limited, 67 + (name == BORN))
    at, silent = hunter.at, NameGuard.demand_silent
    for directory in ("d", "e"):
        await limited.srm("mkdir", token=hunter.token, surl=f"{at}/{directory}")

    async def mv(source: str, target: str) -> str:
        surls = {"fromSURL": f"{at}/{source}", "toSURL": f"{at}/{target}"}
        answer = await limited.srm("mv", token=hunter.token, expect=None, **surls)
        return str(answer["returnStatus"]["statusCode"])

    async def slow(*given: Any) -> None:
        await silent(*given)
        monkeypatch.setattr(NameGuard, "demand_silent", silent)
        assert await mv("a.dcm", "d/a.dcm") == "SRM_SUCCESS"

    monkeypatch.setattr(NameGuard, "demand_silent", slow)
    assert await mv("d", name) == told

    async def restless(*given: Any) -> None:
        await silent(*given)
        monkeypatch.setattr(NameGuard, "demand_silent", silent)
        hunter.made += 1
        await limited.put(f"{at}/e/{hunter.made}", image(1000 + hunter.made), token=hunter.token)
        monkeypatch.setattr(NameGuard, "demand_silent", restless)

    # The move goes on only when the file has come, and that waits for the move.
    monkeypatch.setattr(moves, "SECONDS", 0.2)
    monkeypatch.setattr(NameGuard, "demand_silent", restless)
    assert await mv("e", "f") == "SRM_FILE_BUSY"


async def test_while_it_cannot_be_told_whose_a_file_is_it_gets_no_other_name(
    limited: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hunter = await Hunter.of(limited, 65)

    async def away(_shelf: Shelf, found: Found) -> list[MdmError]:
        return [untold() for _ in found.wanted]

    monkeypatch.setattr(Shelf, "load", away)
    surls = {"fromSURL": f"{hunter.at}/a.dcm", "toSURL": f"{hunter.at}/b.dcm"}
    answer = await limited.srm("mv", token=hunter.token, expect=None, **surls)
    assert answer["returnStatus"]["statusCode"] == "SRM_INTERNAL_ERROR"


async def test_however_much_is_asked_at_once_little_of_it_is_looked_at_together(
    limited: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hunter = await Hunter.of(limited, 66)
    words: list[int] = []
    let = Guesses.let

    def counted(self: Guesses, account: str, patient: str, all_: Any, kept: Any = ()) -> Any:
        words.append(sum(len(one.characters) for one in (*all_, *kept)))
        return let(self, account, patient, all_, kept)

    monkeypatch.setattr(Guesses, "let", counted)
    urls = [f"https://x.example/{n}/" + "/".join(word(n, 900)) for n in range(300)]
    many = [{"surl": f"{hunter.at}/a.dcm", "url": url} for url in urls]
    await hunter.post("/catalog/v1/replicas/add", replicas=many)
    assert sum(words) > 200_000
    assert max(words) <= revealing._READ_AT_ONCE / 2
