"""`mdm keys status` and `mdm keys rotate`."""

import base64
import os

import orjson

from tests.conftest import running_server


async def test_the_status_tells_what_is_wrapped_under_which_key(mdm):
    found = (await mdm("keys", "status", "--json")).json
    (store,) = found["stores"]
    assert (found["threshold"], store["alive"]) == (1, True)
    assert [node["live"] for node in store["nodes"]] == [True]
    in_use = store["epochs"][0]
    assert (in_use["inUse"], in_use["here"]) == (True, True)
    assert in_use["rows"] > 0
    ended = await mdm("keys", "status")
    assert ended.code == 0
    assert "1 of 1 stores alive" in ended.text
    assert "in use" in ended.text


async def test_only_administrators_are_told_of_keys_or_rotate_them(mdm, server, environment):
    environment.setenv("BEARER_TOKEN", await server.token("rlgi"))
    for command in ("status", "rotate"):
        ended = await mdm("keys", command, "--json")
        assert (ended.code, ended.json["error"]["code"]) == (13, "SRM_AUTHORIZATION_FAILURE")


async def test_keys_are_rotated_while_images_are_served(run, environment, own_server, ct):
    environment.setenv("MDM_URL", own_server.url)
    environment.setenv("BEARER_TOKEN", own_server.admin_token)
    await own_server.put("/a.dcm", ct)
    before = await own_server.read("/a.dcm")
    kek = own_server.data / "secrets" / "kek"
    (old,) = kek.read_text().split()
    printed = (await run("keys", "rotate", "--json")).out.splitlines()[-1]  # the server logs there too
    (store,) = orjson.loads(printed)["stores"]
    assert store["rotation"]["number"] == 2
    assert store["rotation"]["done"] == store["rotation"]["total"]
    own_server.cool()
    assert await own_server.read("/a.dcm") == before
    unknown = await run("keys", "rotate", "--gone", "none-such")
    assert unknown.code == 3
    assert "none-such; mdm keys status names them" in unknown.err
    ended = await run("keys", "rotate")
    assert ended.code == 0
    assert "all wrapped under key 3" in ended.text
    assert old not in kek.read_text()
    assert (await run("audit", "show")).text.count("rotate keys") == 2


async def test_a_site_that_keeps_its_key_is_told_what_to_do(run, environment, tmp_path, postgres, migrated):
    file = tmp_path / "site-kek"
    file.touch(0o600)
    old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    file.write_text(old)
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, keys={"kek_file": str(file)}) as server:
        environment.setenv("MDM_URL", server.url)
        environment.setenv("BEARER_TOKEN", server.admin_token)
        refused = await run("keys", "rotate")
        assert refused.code == 1
        assert "site-kek has no new key-encryption key" in refused.err
        assert "put a new key on a line above the others" in refused.err
        file.write_text(f"{new}\n{old}\n")
        assert (await run("keys", "rotate")).code == 0
        assert f"still has key 1: remove it from {file}" in (await run("keys", "status")).text
        assert file.read_text() == f"{new}\n{old}\n"
        for given, unseen in (("short", "short"), ("é" * 20, "é")):
            file.write_text(given)
            wrong = await run("keys", "rotate")
            assert wrong.code != 0
            assert unseen not in wrong.err.replace("site-kek", "")
