"""The texts that are left in views: for whoever may identify, of the files that they may identify, and in no log."""

import io

import pydicom
import pytest

from mdm_async.images.views import survivors
from tests.cli.test_profile_try import written
from tests.conftest import Server

KERNEL = "(0018,1210)"


def with_kernel(ct: bytes, kernel: str) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(ct))
    dataset.ConvolutionKernel = kernel
    return written(dataset)


async def asked(server: Server, token: str, surl: str, expect: int = 200, **more: object):
    answer = await server.call("POST", "/admin/v1/survivors", token=token, json={"surl": surl, **more})
    assert answer.status == expect, answer.tree
    return answer.tree


def texts(page, tag: str) -> dict[str, int]:
    return next((one["texts"] for one in page["attributes"] if one["tag"] == tag), {})


async def test_each_distinct_text_is_told_with_its_count_and_ours_are_not(server, ct):
    folder = await server.directory()
    for name, kernel in (("1", "B30f"), ("2", "B30f"), ("3", "B70f")):
        await server.put(f"{folder}/{name}", with_kernel(ct, kernel))
    page = await asked(server, await server.token("rlxi", folder), folder)
    assert texts(page, KERNEL) == {"B30f": 2, "B70f": 1}
    assert (page["files"], page["withheld"], page["total"], page["after"]) == (3, 0, 3, None)
    told = {one["tag"] for one in page["attributes"]}
    assert not told & {"(0010,0010)", "(0010,0020)", "(0012,0063)"}


async def test_pages_go_on_where_the_one_before_ended(server, ct, monkeypatch):
    monkeypatch.setattr(survivors, "_FILES", 2)
    folder = await server.directory()
    for number in range(5):
        await server.put(f"{folder}/{number}", with_kernel(ct, f"B{number + 1}0f"))
    token = await server.token("rlxi", folder)
    found, after, totals = {}, None, []
    for _ in range(3):
        page = await asked(server, token, folder, after=after)
        found |= texts(page, KERNEL)
        totals.append(page["total"])
        after = page["after"]
    assert set(found) == {f"B{number + 1}0f" for number in range(5)}
    assert (totals, after) == ([5, None, None], None)


async def test_hidden_files_and_who_may_not_identify_are_told_nothing(server, ct):
    folder = await server.directory()
    await server.put(f"{folder}/seen", with_kernel(ct, "B30f"))
    await server.srm("mkdir", surl=f"{folder}/hidden")
    await server.put(f"{folder}/hidden/1", with_kernel(ct, "B60f"))
    for rights, views in (("rlxg", ["basic"]), ("rlxg", None), ("li", None), ("rlxi", ["identified"])):
        token = await server.token(rights, folder, views=views)
        assert "attributes" not in await asked(server, token, folder, 403)
    of_one = await server.token("rxi", f"{folder}/seen")
    await asked(server, of_one, folder, 404)
    page = await asked(server, of_one, f"{folder}/seen")
    assert texts(page, KERNEL) == {"B30f": 1}


async def test_a_project_is_read_by_whoever_may_identify_its_images_at_their_source(server, ct):
    source, project = await server.directory(), await server.directory()
    await server.put(f"{source}/a", with_kernel(ct, "B30f"))
    body = {"surls": [f"{source}/a"], "target": project, "view": "basic"}
    linked = await server.call("POST", "/admin/v1/link", token=await server.token("rwlx"), json=body)
    assert linked.status == 200, linked.tree
    page = await asked(server, await server.token("rlxi", project), project)
    assert (page["attributes"], page["withheld"]) == ([], 1)
    await asked(server, await server.token("rlx"), project, 403)
    curator = await server.token("rlxi")
    page = await asked(server, curator, project)
    assert (texts(page, KERNEL), page["files"], page["withheld"]) == ({"B30f": 1}, 1, 0)
    lfn = linked.tree["files"][0]["lfn"]
    await asked(server, await server.token("rlxi", project), lfn, 403)
    assert texts(await asked(server, curator, lfn), KERNEL) == {"B30f": 1}
    await server.put(f"{project}/own", with_kernel(ct, "B70f"))
    some = await asked(server, await server.token("rlxi", project), project)
    assert (texts(some, KERNEL), some["files"], some["withheld"]) == ({"B70f": 1}, 2, 1)


async def test_it_is_in_the_audit_file_by_file_and_no_text_is_in_audit_or_log(server, ct, capsys):
    folder = await server.directory()
    line = await server.put(f"{folder}/a", with_kernel(ct, "B57s"))
    token = await server.token("rlxi", folder, name="reads-survivors")
    assert texts(await asked(server, token, f"/@basic{folder}"), KERNEL) == {"B57s": 1}
    async with server.house.database.acquire() as db:
        rows = await db.fetch(
            "select * from audit where caller = 'user:reads-survivors' and act = 'survivors'"
        )
    assert [(str(row["guid"]), row["view"], row["outcome"]) for row in rows] == [
        (line["guid"], "basic", "success")
    ]
    said = capsys.readouterr()
    assert "B57s" not in said.out + said.err + str(rows)


async def test_only_a_deidentified_view_has_survivors(server, ct):
    folder = await server.directory()
    token = await server.token("rlxi", folder)
    await asked(server, token, f"/@identified{folder}", 400)
    await asked(server, token, folder, 400, after=["x", "y"])


@pytest.mark.parametrize("after", [[-(1 << 40), ""], [1 << 62, "x"]])
async def test_a_cursor_of_ones_own_making_leads_nowhere_else(server, ct, after):
    folder = await server.directory()
    await server.put(f"{folder}/a", with_kernel(ct, "B30f"))
    other = await server.directory()
    token = await server.token("rlxi", other)
    page = await asked(server, token, other, after=after)
    assert (page["attributes"], page["files"]) == ([], 0)
