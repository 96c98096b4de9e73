"""The way to a release is walked as docs/de-identification.md has it."""

import re
import shlex
import shutil
from pathlib import Path

import pydicom.data

DOCS = Path(__file__).parents[2] / "docs" / "de-identification.md"
PROFILE = 'name = "cardio"\noptions = ["retain_longitudinal_modified_dates"]\nburned_in = "quarantine"\n'


async def test_each_command_does_what_it_says(run, own_server, environment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(pydicom.data.__file__).parent / "test_files" / "CT_small.dcm", "image.dcm")
    shutil.copy(own_server.data / "audit" / "audit.pub", "audit.pub")
    environment.setenv("MDM_URL", own_server.url)
    environment.setenv("BEARER_TOKEN", own_server.admin_token)
    Path("cardio.toml").write_text(PROFILE)
    assert (await run("mkdir", "/cardio")).code == 0
    assert (await run("put", "image.dcm", "/cardio/image.dcm")).code == 0
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) == 10
    curator = await own_server.token("rlxi", "/cardio", views=["cardio"])
    for command in commands:
        environment.setenv("BEARER_TOKEN", curator if "survivors" in command else own_server.admin_token)
        program, *arguments = shlex.split(command)
        ended = await run(*arguments)
        assert (program, ended.code) == ("mdm", 0), (command, ended.err)
    assert ended.text.splitlines()[-1].startswith("pulled.dcm: is certified")
    assert "What stayed" in Path("report.html").read_text()
