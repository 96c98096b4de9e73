"""The counterparts of Hydra's commands, as docs/keys.md has them: each is run."""

import re
from pathlib import Path

from tests.web.made_images import made

DOCUMENT = Path(__file__).parents[2] / "docs" / "keys.md"
ROW = re.compile(r"^\| `?(glite-eds-[a-z-]+|none)`? \| `mdm ([^`]+)` \|", re.MULTILINE)
HYDRAS = {
    *("key-register", "key-unregister", "encrypt", "decrypt", "get"),
    *("put", "chmod", "setacl", "getacl", "rm"),
}


async def test_each_of_hydras_commands_has_a_counterpart_that_works(
    mdm, server, environment, folder, tmp_path
):
    commands = ROW.findall(DOCUMENT.read_text())
    assert {name.removeprefix("glite-eds-") for name, _ in commands} == HYDRAS | {"none"}
    environment.chdir(tmp_path)
    Path("a.dcm").write_bytes(made())
    environment.setenv("BEARER_TOKEN", await server.token("pdrwlxgsi", folder))
    assert (await mdm("put", "a.dcm", f"{folder}/a.dcm")).code == 0
    for name, command in commands:
        ended = await mdm(*command.replace("/d/", f"{folder}/").split())
        assert ended.code == 0, (name, ended.err)
    assert Path("sealed.dcm").read_bytes() == Path("clear.dcm").read_bytes() == Path("c.dcm").read_bytes()
