"""`mdm shred` and `mdm shreds`: told first, then asked, then done; receipts without a server."""

import io
import json

import pytest

from mdm_async.cli.keys.shred import plan_in_words
from tests.web.made_images import made


@pytest.fixture
async def image(server, folder):
    await server.put(f"{folder}/a.dcm", made(seed=801))
    return f"{folder}/a.dcm"


@pytest.fixture
async def keeper(server, folder, mdm, environment):
    """`mdm` as one who may shred in the folder."""
    environment.setenv("BEARER_TOKEN", await server.token("pdrwlxgsi", folder))
    return mdm


async def test_without_yes_and_without_a_terminal_nothing_is_done(keeper, server, image, monkeypatch):
    ended = await keeper("shred", image)
    assert (ended.code, ended.out) == (2, b"")
    assert "--yes, or --dry-run" in ended.err
    assert await server.read(image)


async def test_a_dry_run_tells_what_would_go(keeper, server, image):
    ended = await keeper("shred", image, "--dry-run")
    assert ended.code == 0, ended.err
    assert ended.text.startswith("1 images with 1 names, 0 of which you may not see\n")
    told = await keeper("shred", image, "--dry-run", "--json")
    assert told.json["plan"]["images"] == 1
    assert await server.read(image)


async def test_a_receipt_is_written_once_and_verified_offline(
    keeper, run, server, image, tmp_path, environment
):
    paper = tmp_path / "receipt.json"
    ended = await keeper("shred", image, "--yes", "-o", paper)
    assert ended.code == 0, ended.err
    assert f"receipt: {paper}\n" in ended.text
    assert (await keeper("stat", image)).code == 3
    again = await keeper("shred", image, "--yes", "-o", paper)
    assert again.code == 2
    assert "there already" in again.err
    (listed,) = (await keeper("shreds", "list", "--json")).json
    assert listed["state"] == "destroyed"
    later = tmp_path / "later.json"
    assert (await keeper("shreds", "receipt", listed["id"], "-o", later)).text == f"destroyed: {later}\n"
    environment.setenv("MDM_URL", "http://127.0.0.1:9")  # no server is asked
    public = server.data / "audit" / "audit.pub"
    verified = await run("shreds", "verify", paper, "--key", public)
    assert verified.code == 0, verified.err
    assert verified.text.startswith("intact, signed by the key ")
    assert "state: destroyed" in verified.text
    assert "waiting: " in verified.text
    told = (await run("shreds", "verify", later, "--key", public, "--json")).json
    assert (told["images"], told["state"], told["named"]) == (1, "destroyed", True)
    paper.write_text(paper.read_text().replace('"state": "destroyed"', '"state": "final"'))
    forged = await run("shreds", "verify", paper, "--key", public)
    assert (forged.code, forged.out) == (5, b"")


async def test_nothing_is_destroyed_whose_receipt_could_not_be_written(keeper, server, image, tmp_path):
    ended = await keeper("shred", image, "--yes", "-o", tmp_path / "nowhere" / "receipt.json")
    assert (ended.code, ended.out) == (2, b"")
    assert "nothing was done" in ended.err
    assert await server.read(image)


async def test_json_has_the_plan_and_the_receipt(keeper, image):
    ended = await keeper("shred", image, "--yes", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.json["shred"]["receipt"])["shred"] == ended.json["shred"]["id"]
    assert ended.json["plan"]["entries"] == 1


async def test_names_and_a_patient_do_not_go_together(keeper, image):
    for arguments in ((), (image, "--patient", "x")):
        ended = await keeper("shred", *arguments, "--dry-run")
        assert ended.code == 2
        assert "either names or --patient" in ended.err


async def test_a_patient_may_come_from_stdin(keeper, image, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("nobody of that name\n"))
    ended = await keeper("shred", "--patient", "-", "--dry-run")
    assert (ended.code, "--as-administrator" in ended.err) == (3, True)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert (await keeper("shred", "--patient", "-", "--dry-run")).code == 2


def test_whoever_shreds_by_a_grant_is_not_sent_to_an_administrator():
    found = dict.fromkeys(
        ("images", "entries", "hidden", "views", "parts", "bytes", "transferURLs", "deliveredTo", "replicas"),
        1,
    ) | {"cohorts": 0, "people": 1, "unreadable": 0, "barred": 3}
    assert "an administrator can do it" in plan_in_words(found)[-1]
    assert "grant" in plan_in_words(found, as_administrator=True)[-1]
