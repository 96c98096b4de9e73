"""`mdm token`, `mdm keygen`, `mdm fsck`."""

import io
import os

import crypt4gh.keys
import crypt4gh.lib
import pytest

from mdm_async import errors
from mdm_async.cli.keygen import write_key_pair
from mdm_async.cli.rights.token import parse_duration
from mdm_async.crypt4gh.keyfile import parse_private_key, parse_public_key
from mdm_async.crypt4gh.stream import Sealer


async def test_a_token_is_made_used_listed_and_revoked(mdm, environment, server, folder):
    name = f"worker@{os.urandom(4).hex()}"
    made = await mdm(
        "token", "create", "--name", name, "--rights", "lxg", "--path", folder, "--lifetime", "1h"
    )
    assert made.code == 0, made.err
    token = made.text.strip()
    environment.setenv("BEARER_TOKEN", token)
    assert (await mdm("ls", folder)).code == 0
    assert (await mdm("mkdir", f"{folder}/a")).code != 0

    environment.setenv("BEARER_TOKEN", server.admin_token)
    listed = await mdm("token", "list", "--json")
    (line,) = [each for each in listed.json if each["name"] == name]
    assert line["path"] == folder
    assert token not in listed.text
    assert (await mdm("token", "revoke", name)).code == 0
    environment.setenv("BEARER_TOKEN", token)
    assert (await mdm("ls", folder)).code == 13


async def test_a_macaroon_is_listed_and_revoked_by_its_maker(mdm, environment, server, folder):
    made = await mdm(
        "token", "create", "--name", f"m@{os.urandom(4).hex()}", "--rights", "lxg", "--path", folder
    )
    maker = made.text.strip()
    kind = {"Content-Type": "application/macaroon-request"}
    asked = {"caveats": ["activity:LIST"]}
    answer = await server.call("POST", f"/dav{folder}", token=maker, json=asked, headers=kind)
    macaroon = answer.tree["macaroon"]
    environment.setenv("BEARER_TOKEN", macaroon)
    assert (await mdm("ls", folder)).code == 0
    assert (await mdm("macaroon", "list")).code == 13
    environment.setenv("BEARER_TOKEN", maker)
    (line,) = (await mdm("macaroon", "list", "--json")).json
    assert line["id"] == answer.tree["id"]
    assert f"path:{folder} activity:LIST" in (await mdm("macaroon", "list")).text
    assert (await mdm("macaroon", "revoke", line["id"])).code == 0
    assert (await mdm("macaroon", "revoke", line["id"])).code == 3
    environment.setenv("BEARER_TOKEN", macaroon)
    assert (await mdm("ls", folder)).code == 13


async def test_a_token_of_rights_that_do_not_exist_is_refused_here(mdm):
    assert (await mdm("token", "create", "--name", "n", "--rights", "q")).code == 2


def test_durations():
    assert [parse_duration(text) for text in ("90", "90s", "15m", "12h", "30d")] == [
        90,
        90,
        900,
        43_200,
        2_592_000,
    ]
    for text in ("", "0", "-1", "1w", "1.5h", "h"):
        with pytest.raises(errors.BadRequest):
            parse_duration(text)


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_the_reference_tool_opens_what_was_sealed_to_our_key(tmp_path, passphrase):
    secret, public = write_key_pair(tmp_path / "me", passphrase)
    assert secret.stat().st_mode & 0o777 == 0o400
    sealer = Sealer(parse_public_key(public.read_text()))
    stream = b"".join([sealer.header(), *sealer.feed(b"image"), *sealer.close()])
    key = crypt4gh.keys.get_private_key(str(secret), lambda: passphrase)
    opened = io.BytesIO()
    crypt4gh.lib.decrypt([(0, key, None)], io.BytesIO(stream), opened)
    assert opened.getvalue() == b"image"


async def test_a_key_is_never_overwritten(run, tmp_path):
    assert (await run("keygen", tmp_path / "me")).code == 0
    before = (tmp_path / "me.sec").read_bytes()
    assert (await run("keygen", tmp_path / "me")).code == 1
    (tmp_path / "me.pub").unlink()
    assert (await run("keygen", tmp_path / "me")).code == 1
    assert (tmp_path / "me.sec").read_bytes() == before


async def test_a_locked_key_takes_its_passphrase_from_the_environment(run, environment, tmp_path):
    environment.setenv("C4GH_PASSPHRASE", "correct horse")
    assert (await run("keygen", tmp_path / "me", "--lock")).code == 0
    locked = (tmp_path / "me.sec").read_text()
    assert len(parse_private_key(locked, "correct horse")) == 32
    with pytest.raises(errors.BadRequest):
        parse_private_key(locked, "wrong")


async def test_fsck_of_a_sound_store_finds_nothing(mdm):
    ended = await mdm("fsck", "--json")
    assert (ended.code, ended.json["findings"]) == (0, [])
    assert "0 findings" in (await mdm("fsck")).text


async def test_a_deep_fsck_reads_all_and_says_so(mdm):
    ended = await mdm("fsck", "--deep", "--json")
    assert (ended.code, ended.json["found"]) == (0, [])
    assert f"{ended.json['images']} images" in (await mdm("fsck", "--deep")).text
    assert (await mdm("fsck", "--pause", "5")).code == 2
    assert (await mdm("fsck", "--deep", "--after", "nonsense")).code == 2
    ended = await mdm("fsck", "--known", "--json")
    assert (ended.code, ended.json["found"]) == (0, [])
    assert "0 images are damaged" in (await mdm("fsck", "--known")).text
    assert (await mdm("fsck", "--known", "--repair")).code == 2
