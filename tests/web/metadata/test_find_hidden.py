"""Nothing of what is hidden changes an answer: neither rows, nor counts, nor the order, nor what is too much.

The same queries before and after the hidden is there: between the two catalogs nothing else differs.
"""

from typing import Any

import orjson
import pytest

from mdm_async.images.metadata import joining, ordering, rows
from mdm_async.web.metadata import find
from tests.conftest import Server
from tests.web.metadata.test_find import asked, image

QUERIES: list[dict[str, Any]] = [
    {"query": 'Modality = "CT"'},
    {"query": 'Modality = "CT"', "limit": 2},
    {"query": 'not Modality = "CT"'},
    {"query": 'Modality = "MR"'},
    {"query": "SliceThickness < 3", "order": ["-SliceThickness"]},
    {"query": "SliceThickness > 0", "order": ["SliceThickness"], "limit": 2},
    {"query": "SliceThickness is known", "select": ["*"]},
    {"query": 'BodyPartExamined = "HEAD"'},
    {"query": "mine.quality >= 2", "select": ["mine.quality"]},
    {"query": "mine.quality is unknown"},
    {"query": "mine.quality = 9", "view": "basic"},
    {"query": "c.mine.quality = mine.quality", "joins": {"c": "{top}"}},
    {"query": 'Modality = "CT" and c.mine.colour = mine.colour', "joins": {"c": "{top}"}},
    {"query": "c.mine.quality = SliceThickness", "joins": {"c": "{top}"}, "select": ["c.mine.quality"]},
    {"query": "Modality is known", "view": "identified"},
    {"query": "Modality is known", "view": "none-such"},
    {"query": "Modality is known", "path": "{top}/two"},
    {"query": "Modality is known", "path": "{top}/hidden"},
    {"query": "Modality is known", "path": "{top}/seen/x3"},
    {"query": "c.mine.quality = mine.quality", "joins": {"c": "{top}/hidden"}},
    {"query": "other.secret = 1"},
]


READER = "user:reader"


async def meta(server: Server, verb: str, **body: Any) -> None:
    answer = await server.call("POST", f"/meta/v1/{verb}", token=server.admin_token, json=body)
    assert answer.status in (200, 201), answer.body


async def seen(server: Server) -> str:
    """A directory with all that the reader sees."""
    top = await server.directory()
    await server.srm("mkdir", surl=f"{top}/seen")
    await meta(
        server,
        "schemas/create",
        surl=top,
        name="mine",
        attributes=[{"name": "quality", "kind": "int"}, {"name": "colour"}],
    )
    for seed, thickness in enumerate((1, 2, 3), 100):
        await server.put(f"{top}/seen/v{seed}", image(seed, Modality="CT", SliceThickness=thickness))
        await meta(
            server,
            "set",
            surls=[f"{top}/seen/v{seed}"],
            values={"mine.quality": thickness, "mine.colour": "red"},
        )
    for path, rights in (("/", "x"), (top, "xlgr")):
        await server.srm(
            "setPermission",
            surls=[path],
            permissionType="ADD",
            rules=[{"principal": READER, "rights": rights}],
        )
    return top


async def plant(server: Server, top: str) -> None:
    """What the reader sees nothing of: before, between and behind what they see, and better in every respect."""
    await server.srm("mkdir", surl=f"{top}/hidden")
    await server.srm("setPermission", surls=[f"{top}/hidden"], permissionType="SET", rules=[])
    for seed in range(6):
        for where in ("hidden", "seen"):
            name = f"{top}/{where}/{'ax'[seed % 2]}{seed}"
            said = {
                "Modality": "MR" if seed < 2 else "CT",
                "SliceThickness": seed,
                "BodyPartExamined": "HEAD",
            }
            await server.put(name, image(200 + seed, **said))
            await server.srm("setPermission", surls=[name], permissionType="SET", rules=[])
            await meta(server, "set", surls=[name], values={"mine.quality": 1 + seed})
    await meta(server, "schemas/create", surl=f"{top}/hidden", name="other", attributes=[{"name": "secret"}])


async def answers(server: Server, reader: str, top: str) -> list[Any]:
    told = []
    for each in QUERIES:
        text = orjson.dumps({"path": top, **each}).decode().replace("{top}", top)
        body = orjson.loads(text)
        answer = await server.call("POST", "/meta/v1/find", token=reader, json=body)
        told.append((each, answer.status, _without_ids(answer.body)))
    return told


def _without_ids(body: bytes) -> list[Any]:
    lines = [orjson.loads(line) for line in body.splitlines() if line]
    for line in lines:
        line.pop("requestId", None)
    return lines


async def test_what_is_hidden_changes_no_answer(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server, top = own_server, await seen(own_server)
    reader = await server.token("", top, name=READER.partition(":")[2])
    monkeypatch.setattr(find, "_PATIENCE", 1000)
    monkeypatch.setattr(rows, "LOOKED_AT", 2)
    monkeypatch.setattr(ordering, "MOST_ORDERED", 3)
    monkeypatch.setattr(joining, "MOST_JOINED", 3)

    async def by_each_way() -> list[list[Any]]:
        told = []
        for few in (-1, 4, 2000):
            # With 4, an index gives few before and too many after: another way leads to the answer then.
            monkeypatch.setattr(rows, "_FEW", few)
            told.append(await answers(server, reader, top))
        return told

    before = await by_each_way()
    assert before[0] == before[1] == before[2]
    found = [line for _, status, lines in before[0] if status == 200 for line in lines if "matches" in line]
    assert len(found) > 5
    await plant(server, top)
    after = await by_each_way()
    for one, other in zip(before, after, strict=True):
        for was, became in zip(one, other, strict=True):
            assert was == became
    # And it is there to be found, by whoever may.
    everything = await asked(server, 'BodyPartExamined = "HEAD"', path=top)
    assert everything.body.count(b'"path"') == 12
