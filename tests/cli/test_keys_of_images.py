"""`mdm keys list|register|unregister|acl`."""

import pytest

from mdm_async.cli.keys import of_images
from mdm_async.client import keys
from mdm_async.errors import ViewRefused
from mdm_async.images.rekeying.rekeying import Rekeying
from tests.web.made_images import made


@pytest.fixture
async def file(server, folder):
    await server.put(f"{folder}/a.dcm", made())
    return f"{folder}/a.dcm"


async def test_keys_are_listed_and_made_good(mdm, file):
    for verb in ("list", "register"):
        ended = await mdm("keys", verb, file)
        assert ended.code == 0, ended.err
        assert ended.text.startswith(f"{file}: ")
        assert ended.text.endswith(": catalog has it\n")
        (told,) = (await mdm("keys", verb, file, "--json")).json
        assert (told["name"], told["stores"]) == (file, {"catalog": True})


async def test_a_file_is_given_other_keys(mdm, file):
    before = (await mdm("get", file, "-")).out
    ended = await mdm("keys", "rekey", file, f"{file}.not", "--json")
    assert ended.code != 0
    done, missing = ended.json
    assert (done["name"], done["generation"], done["changed"]) == (file, 2, True)
    assert (missing["name"], missing["error"]["code"]) == (f"{file}.not", "SRM_INVALID_PATH")
    assert " generation 2, registration " in (await mdm("keys", "list", file)).text
    again = await mdm("keys", "rekey", file)
    assert again.code == 0
    assert "keeps its keys" in again.text
    assert (await mdm("keys", "rekey", file, "--before", "2020-01-01")).code == 0
    assert (await mdm("get", file, "-")).out == before


async def test_what_was_cut_off_says_how_to_go_on(mdm, server, folder, file, monkeypatch):
    await server.put(f"{folder}/b.dcm", made())
    monkeypatch.setattr(keys, "_REKEYED", 1)
    rekey, asked = Rekeying.rekey, 0

    async def once(*given):
        nonlocal asked
        asked += 1
        if asked > 1:
            raise ViewRefused("not now")
        return await rekey(*given)

    monkeypatch.setattr(Rekeying, "rekey", once)
    ended = await mdm("keys", "rekey", file, f"{folder}/b.dcm", "--before", "2030-01-01")
    assert ended.code != 0
    assert "1 of 2 files were gone through; run it again with --before 2030-01-01T00:00:00Z" in " ".join(
        ended.err.split()
    )


async def test_an_entrys_acl_is_that_of_its_keys(mdm, file):
    assert (await mdm("keys", "acl", file, "--add", "user:ada=rg@basic")).code == 0
    for shown in (await mdm("keys", "acl", file), await mdm("acl", "get", file)):
        assert "user:ada" in shown.text


async def test_keys_are_destroyed_when_that_is_confirmed(mdm, server, environment, folder, file):
    environment.setenv("BEARER_TOKEN", await server.token("pdrwlxgsi", folder))
    ended = await mdm("keys", "unregister", file)
    assert (ended.code != 0, "give --yes" in ended.err) == (True, True)
    ended = await mdm("keys", "unregister", file, f"{file}.not", "--yes")
    assert ended.code != 0
    assert "its keys are destroyed" in ended.text
    assert f"{file}.not: " in ended.err
    assert "catalog lacks it" in (await mdm("keys", "list", file)).text
    assert (await mdm("ls", folder)).text.split()[-1].endswith("a.dcm")


async def test_keys_are_not_destroyed_when_it_is_not(mdm, environment, file):
    environment.setattr(of_images.sys.stdin, "isatty", lambda: True, raising=False)
    environment.setattr(of_images.typer, "confirm", _no)
    assert (await mdm("keys", "unregister", file)).code != 0
    assert "catalog has it" in (await mdm("keys", "list", file)).text


def _no(*_args, **_options):
    raise of_images.typer.Abort
