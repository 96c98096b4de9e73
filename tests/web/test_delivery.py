"""Delivery policies of directories: what leaves in the clear and what only sealed, who may say so, and where."""

import base64
from typing import Any

import pytest

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from tests.conftest import Reply, Server
from tests.web.made_images import made

EVERY_VIEW = ["*", "identified"]
KEY = base64.b64encode(public_key(new_private_key())).decode()


async def told(server: Server, surl: str, token: str | None = None) -> Reply:
    return await server.call(
        "POST", "/admin/v1/delivery", token=token or server.admin_token, json={"surl": surl}
    )


async def say(server: Server, surl: str, token: str | None = None, **said: str) -> Reply:
    return await server.call(
        "PUT", "/admin/v1/delivery", token=token or server.admin_token, json={"surl": surl, **said}
    )


@pytest.fixture
async def folder(server: Server) -> str:
    """A directory with a file, and one below it with another."""
    path = await server.directory()
    await server.srm("mkdir", surl=f"{path}/below")
    for file in ("a.dcm", "below/b.dcm"):
        await server.put(f"{path}/{file}", made())
    return path


async def prepared(server: Server, surl: str, **options: Any) -> dict[str, Any]:
    tree = await server.srm("prepareToGet", expect=None, files=[{"surl": surl}], **options)
    line: dict[str, Any] = tree["files"][0]
    return line


def is_sealed_only(line: dict[str, Any]) -> bool:
    return "sealed only" in line["status"].get("explanation", "")


async def test_without_a_word_the_settings_decide(server: Server, folder: str) -> None:
    assert (await told(server, folder)).tree == {
        "identified": {"delivery": "sealed", "bySettings": True},
        "deidentified": {"delivery": "clear", "bySettings": True},
    }


async def test_a_directory_speaks_for_all_below_it_until_another_does(server: Server, folder: str) -> None:
    answer = await say(server, folder, deidentified="sealed")
    assert answer.tree["deidentified"]["delivery"] == "sealed"
    assert answer.tree["deidentified"]["from"]["path"] == folder
    below = (await told(server, f"{folder}/below")).tree
    assert below["deidentified"]["delivery"] == "sealed"
    assert below["deidentified"]["from"]["path"] == folder
    assert below["identified"]["bySettings"] is True
    for file in ("a.dcm", "below/b.dcm"):
        assert is_sealed_only(await prepared(server, f"{folder}/{file}"))
        line = await prepared(server, f"{folder}/{file}", recipient=KEY)
        assert "senderPublicKey" in line
    await say(server, f"{folder}/below", deidentified="clear")
    assert is_sealed_only(await prepared(server, f"{folder}/a.dcm"))
    assert "transferURL" in await prepared(server, f"{folder}/below/b.dcm")
    await say(server, f"{folder}/below", deidentified="inherit")
    assert is_sealed_only(await prepared(server, f"{folder}/below/b.dcm"))


async def test_an_administrator_may_let_the_identified_view_leave_in_the_clear(
    server: Server, folder: str
) -> None:
    token = await server.token("rli", path=folder, views=EVERY_VIEW)
    assert is_sealed_only(await prepared(server, f"{folder}/a.dcm", token=token, view="identified"))
    await say(server, folder, identified="clear")
    line = await prepared(server, f"{folder}/a.dcm", token=token, view="identified")
    assert await server.get(line["transferURL"]) == made()


async def test_it_needs_p_and_identified_in_the_clear_an_administrator(server: Server, folder: str) -> None:
    token = await server.token("pl", path=folder)
    assert (await say(server, folder, token, deidentified="sealed")).status == 200
    assert (await say(server, folder, token, identified="sealed")).status == 200
    answer = await say(server, folder, token, identified="clear")
    assert answer.status == 403
    assert "administrator" in answer.tree["detail"]
    assert (await told(server, folder)).tree["identified"]["delivery"] == "sealed"
    without = await server.token("drwlxgsi", path=folder)
    assert (await say(server, folder, without, deidentified="clear")).status == 403
    assert (await told(server, folder, without)).status == 200


async def test_dropping_a_word_does_not_let_identities_out(server: Server, folder: str) -> None:
    """What is clear above is clear below as soon as nobody says otherwise."""
    await say(server, folder, identified="clear")
    await say(server, f"{folder}/below", identified="sealed")
    token = await server.token("pl", path=folder)
    assert (await say(server, f"{folder}/below", token, identified="inherit")).status == 403
    assert (await say(server, f"{folder}/below", token, deidentified="clear")).status == 200
    assert (await told(server, f"{folder}/below")).tree["identified"]["delivery"] == "sealed"
    assert (await say(server, f"{folder}/below", identified="inherit")).status == 200


async def test_the_directory_that_says_so_is_told_to_those_who_may_list_it(
    server: Server, folder: str
) -> None:
    await say(server, folder, deidentified="sealed")
    token = await server.token("l", path=f"{folder}/below")
    found = (await told(server, f"{folder}/below", token)).tree["deidentified"]
    assert found == {"delivery": "sealed", "bySettings": False}


async def test_what_may_not_be_seen_is_not_there(server: Server, folder: str) -> None:
    token = await server.token("pw", path=f"{folder}/below")
    answers = [await told(server, surl, token) for surl in (folder, f"{folder}/none", "/nowhere")]
    answers += [
        await say(server, surl, token, deidentified="clear")
        for surl in (folder, f"{folder}/none", "/nowhere")
    ]
    assert {answer.status for answer in answers} == {404}
    assert {answer.tree["detail"] for answer in answers} == {"no such file or directory"}


async def test_files_have_no_policy_of_their_own(server: Server, folder: str) -> None:
    assert (await say(server, f"{folder}/a.dcm", deidentified="sealed")).status == 409
    assert (await told(server, f"{folder}/a.dcm")).status == 409


@pytest.mark.parametrize("body", [{"deidentified": "open"}, {"identified": ""}, {"delivery": "sealed"}])
async def test_what_is_not_a_policy_is_refused(server: Server, folder: str, body: dict[str, str]) -> None:
    assert (await say(server, folder, **body)).status == 400


async def test_a_change_is_audited_without_names(server: Server, folder: str) -> None:
    await say(server, folder, deidentified="sealed", identified="sealed")
    await say(server, folder, identified="inherit")
    async with server.house.database.acquire() as db:
        acts = await db.fetch(
            "select a.caller, a.details from audit a join entries e using (guid)"
            " where e.name = $1 and a.act = 'set delivery' order by a.id",
            folder.strip("/"),
        )
    assert [(act["caller"], act["details"]) for act in acts] == [
        ("user:admin", {"before": {}, "after": {"identified": "sealed", "deidentified": "sealed"}}),
        (
            "user:admin",
            {
                "before": {"identified": "sealed", "deidentified": "sealed"},
                "after": {"deidentified": "sealed"},
            },
        ),
    ]


async def test_a_clear_transfer_url_ends_where_only_sealed_ones_may_be(server: Server, folder: str) -> None:
    clear = await prepared(server, f"{folder}/a.dcm")
    sealed = await prepared(server, f"{folder}/a.dcm", recipient=KEY)
    for line in (clear, sealed):
        assert (await server.call("GET", line["transferURL"])).status == 200
    await say(server, folder, deidentified="sealed")
    assert (await server.call("GET", clear["transferURL"])).status == 410
    assert (await server.call("GET", sealed["transferURL"])).status == 200
