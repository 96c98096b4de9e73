"""`mdm whoami`: who the server takes one for, and with what rights where."""

import pytest

from tests.cli.conftest import Run
from tests.conftest import Server


async def test_it_tells_name_credential_end_and_rights_here(
    mdm: Run, server: Server, folder: str, environment: pytest.MonkeyPatch
) -> None:
    name = "w" + folder[2:]
    made = await mdm(
        "token", "create", "--name", name, "--rights", "rlx", "--path", folder, "--lifetime", "1h"
    )
    environment.setenv("BEARER_TOKEN", made.text.strip())
    told = await mdm("whoami", folder)
    assert told.code == 0, told.err
    lines = [line.strip() for line in told.text.splitlines()]
    assert lines[0] == f"user:{name}, by local token"
    assert lines[1] == f"principals: any:anonymous, any:authenticated, user:{name}"
    assert lines[2].startswith("ends: 20")
    assert lines[3:] == [f"by itself: lrx at {folder}", f"at {folder}: rlx, reads basic"]
    elsewhere = await mdm("whoami")
    assert elsewhere.text.splitlines()[-1].strip().startswith("at /: ")
    assert (await mdm("whoami", folder, "--json")).json["here"]["permission"] == "rlx"


async def test_nobody_is_anonymous(mdm: Run, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("BEARER_TOKEN")
    told = await mdm("whoami")
    assert told.code == 0, told.err
    assert told.text.startswith("any:anonymous, by none\n")
    assert "ends" not in told.text
    assert "no valid credential" in told.text


async def test_a_bad_credential_is_code_13(mdm: Run, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("BEARER_TOKEN", "nobodys")
    assert (await mdm("whoami")).code == 13
