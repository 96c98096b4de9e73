"""Receipts of shredding: what they tell, to whom, and how one is checked."""

import base64
from uuid import uuid4

import orjson
import pytest

from mdm_async.audit.keys import parse_public
from mdm_async.audit.shred_receipt import ShredReceipt
from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.errors import WrongContent
from tests.conftest import Server
from tests.faults.conditions import until
from tests.web.made_images import made
from tests.web.shredding.conftest import Shred


async def test_a_receipt_says_what_went_and_to_whom_it_had_gone(server: Server, shred: Shred) -> None:
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    guid = (await server.put(surl, made(seed=701)))["guid"]
    token = await server.token("pdrwlxgsi", directory, name="keeper")
    reader = await server.token("rlxg", directory, name="reader")
    await server.read(surl, token=reader)
    done = await shred.do(surl, token=token)
    keys = parse_public([(server.data / "audit" / "audit.pub").read_text()])
    found, _ = ShredReceipt.verified(done["receipt"], keys)
    assert (found.shred, found.state, found.by) == (done["id"], "destroyed", "user:keeper")
    (image,) = found.images
    assert image["entries"] == [guid]
    assert {view["name"] for view in image["views"]} >= {"identified", "basic"}
    (delivered,) = image["delivered"]
    assert (delivered["to"], delivered["view"], delivered["sealed"]) == ("user:reader", "basic", False)
    assert [one["store"] for one in found.stores]
    assert found.waiting
    assert any("stay readable" in one for one in found.limits)


async def test_a_sealed_delivery_is_told_with_the_key_that_it_was_sealed_for(
    server: Server, shred: Shred
) -> None:
    directory = await server.directory()
    surl = f"{directory}/a.dcm"
    await server.put(surl, made(seed=705))
    token = await server.token("pdrwlxgsi", directory)
    key = public_key(new_private_key())
    await server.read(surl, token=token, recipient=base64.b64encode(key).decode())
    (image,) = orjson.loads((await shred.do(surl, token=token))["receipt"])["images"]
    (delivered,) = image["delivered"]
    assert delivered["sealed"]
    assert delivered["recipients"] == [key.hex()]


async def test_a_changed_receipt_is_noticed(server: Server, shred: Shred) -> None:
    directory = await server.directory()
    await server.put(f"{directory}/a", made(seed=702))
    token = await server.token("pdrwlxgsi", directory)
    text = (await shred.do(f"{directory}/a", token=token))["receipt"]
    tree = orjson.loads(text)
    for changed in (
        text.replace('"destroyed"', '"final"', 1),
        text.replace('"bytes": ', '"bytes": 1'),
        text[:-2],
        "{}",
        orjson.dumps(tree).decode(),
    ):
        with pytest.raises(WrongContent):
            ShredReceipt.verified(changed, None)
    with pytest.raises(WrongContent, match="none of those given"):
        ShredReceipt.verified(text, {})


async def test_receipts_are_for_who_shredded_and_for_administrators(server: Server, shred: Shred) -> None:
    directory = await server.directory()
    await server.put(f"{directory}/a", made(seed=703))
    token = await server.token("pdrwlxgsi", directory)
    id_ = (await shred.do(f"{directory}/a", token=token))["id"]
    stranger = await server.token("pdrwlxgsi", directory)
    path = f"/admin/v1/shreds/{id_}"
    assert (await server.call("GET", path, token=token)).status == 200
    assert (await server.call("GET", path, token=server.admin_token)).status == 200
    hidden = await server.call("GET", path, token=stranger)
    missing = await server.call("GET", f"/admin/v1/shreds/{uuid4()}", token=stranger)
    assert (hidden.status, hidden.tree["detail"]) == (missing.status, missing.tree["detail"])
    assert hidden.status == 404
    listed = (await server.call("GET", "/admin/v1/shreds", token=stranger)).tree["shreds"]
    assert id_ not in {one["id"] for one in listed}
    listed = (await server.call("GET", "/admin/v1/shreds", token=token)).tree["shreds"]
    assert [one["id"] for one in listed] == [id_]


async def test_the_end_of_keys_is_in_the_audit(server: Server, shred: Shred) -> None:
    directory = await server.directory()
    guid = (await server.put(f"{directory}/a", made(seed=704)))["guid"]
    token = await server.token("pdrwlxgsi", directory)
    id_ = (await shred.do(f"{directory}/a", token=token))["id"]

    async def told() -> bool:
        async with server.house.database.acquire() as db:
            rows = await db.fetch(
                "select outcome, guid::text from audit where act = 'shred' and details ->> 'shred' = $1", id_
            )
        outcomes = {(row["outcome"], row["guid"]) for row in rows}
        return {("success", guid), ("destroyed", None)} <= outcomes

    await until(told)
