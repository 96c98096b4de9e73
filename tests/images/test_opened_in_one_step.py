"""A view opened in one step: by the same rights, views and delivery policy as a prepared one."""

import pytest

from mdm_async.errors import Forbidden, MdmError
from mdm_async.images.transfers import download
from mdm_async.images.transfers.download import Ask
from mdm_async.names import ANONYMOUS, IDENTIFIED, View
from tests.conftest import Server
from tests.faults.conditions import until
from tests.images.one_step import RECIPIENT, caller, content, opened, read
from tests.web.made_images import made
from tests.web.own_acls import give, rule


async def test_it_tells_what_it_is_made_of(server: Server) -> None:
    folder = await server.directory()
    await server.put(f"{folder}/a.dcm", made())
    line = await server.prepare(f"{folder}/a.dcm")
    view = await opened(server, f"{folder}/a.dcm")
    assert view.file.view == "basic"
    assert view.warm.served.size == view.plain.size == line["fileSize"]
    assert f"{view.plain.adler32:08x}" == line["checkSumValue"]
    assert (await opened(server, f"{folder}/a.dcm")).warm.served.etag == view.warm.served.etag


async def test_it_is_refused_as_preparing_it_would_be(own_server: Server) -> None:
    await give(own_server, "/", [rule("any:authenticated", "x"), rule("user:admin", "pdrwlxgs")])
    await own_server.srm("mkdir", surl="/d")
    for name in ("seen", "unseen", "mine"):
        await own_server.put(f"/d/{name}.dcm", made())
    await give(own_server, "/d", [rule("user:me", "xl")])
    await give(own_server, "/d/seen.dcm", [rule("user:me", "l")])
    await give(own_server, "/d/unseen.dcm", [])
    await give(own_server, "/d/mine.dcm", [rule("user:me", "rli", views=["basic", "identified"])])
    token = await own_server.token("", name="me")
    who, house = await caller(own_server, token), own_server.house
    surls = ["/d/seen.dcm", "/d/unseen.dcm", "/d/mine.dcm", "/d/missing.dcm", "/d", "no path"]
    refused = []
    for view in (None, IDENTIFIED, View("other")):
        prepared = await download.prepare(
            house.desk,
            house.judge,
            house.warm,
            house.rounds,
            own_server.house.settings.transfers,
            who,
            Ask(surls, view),
        )
        for surl, why in prepared.files:
            if not isinstance(why, MdmError):
                continue
            refused.append(type(why).__name__)
            with pytest.raises(type(why)) as told:
                await opened(own_server, surl, token, view=view)
            assert _told(told.value) == _told(why), surl
    assert len(refused) == 17
    assert {*refused} == {"NotFound", "Forbidden", "BadRequest", "BadPath"}


def _told(why: MdmError) -> tuple[object, ...]:
    return why.detail, why.remedy, why.refusal


async def test_the_identified_view_leaves_sealed_only(server: Server) -> None:
    folder, data = await server.directory(), made()
    await server.put(f"{folder}/a.dcm", data)
    token = await server.token("rli", views=["identified"])
    with pytest.raises(Forbidden, match="sealed only"):
        await opened(server, f"{folder}/a.dcm", token, view=IDENTIFIED)
    view = await opened(server, f"{folder}/a.dcm", token, view=IDENTIFIED, recipient=RECIPIENT)
    assert view.warm.served.sealed
    assert await content(server, view) == data
    assert await read(server, f"/@identified{folder}/a.dcm", token, recipient=RECIPIENT) == data


async def test_it_ends_when_its_file_goes(own_server: Server) -> None:
    await own_server.put("/a.dcm", made())
    view = await opened(own_server, "/a.dcm")
    with own_server.house.admission.sending(ANONYMOUS.payer, view.warm.ending, lambda: None):
        await own_server.srm("rm", surls=["/a.dcm"])
        await until(lambda: view.warm.ending.ended)


async def test_it_ends_when_its_token_is_revoked(own_server: Server) -> None:
    await own_server.put("/a.dcm", made())
    view = await opened(own_server, "/a.dcm", await own_server.token("r", name="reader"))
    with own_server.house.admission.sending(ANONYMOUS.payer, view.warm.ending, lambda: None):
        await own_server.call("DELETE", "/admin/v1/tokens/reader", token=own_server.admin_token)
        await until(lambda: view.warm.ending.ended)


async def test_it_ends_when_it_is_not_read_and_so_no_longer_watched(own_server: Server) -> None:
    await own_server.put("/a.dcm", made())
    view = await opened(own_server, "/a.dcm")
    view.warm.used = float("-inf")
    await until(lambda: view.warm.ending.ended)
    assert list(own_server.house.warm) == []


async def test_it_goes_on_while_nothing_changes(own_server: Server) -> None:
    await own_server.put("/a.dcm", made())
    view = await opened(own_server, "/a.dcm")
    with own_server.house.admission.sending(ANONYMOUS.payer, view.warm.ending, lambda: None):
        feed = own_server.house.warm.feed
        for _ in range(2):
            looked = feed.as_of
            await until(lambda looked=looked: feed.as_of > looked)
        assert not view.warm.ending.ended


async def test_it_is_in_the_audit_before_its_first_byte(own_server: Server) -> None:
    await own_server.put("/a.dcm", made())
    view = await opened(own_server, "/a.dcm", recipient=RECIPIENT)
    async with own_server.house.database.acquire() as db:
        (row,) = await db.fetch("select * from audit where act = 'open'")
    assert (row["guid"], row["view"]) == (view.file.entry.guid, "basic")
    assert row["details"] == {"recipient": RECIPIENT.hex()}
