"""docs/amga.md: the counterpart of each of AMGA's commands is run as it stands there."""

import io
import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.conftest import Server
from tests.web.made_images import made

PAGE = (Path(__file__).parents[2] / "docs" / "amga.md").read_text()
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| AMGA"))
]
COMMANDS = """
    addentry addattr getattr setattr listattr find selectattr updateattr dir acl_show acl_add acl_remove
    sequence_create sequence_next sequence_remove index_create index_remove view_create view_list view_remove
    addentries listentries removeattr clearattr createdir rmdir rm stat link
"""


def commands(cell: str) -> list[str]:
    """Those of mdm in a cell, as one types them."""
    return [
        span.replace("\\|", "|") for span in re.findall(r"`(mdm [^`]+)`", cell) if span != "mdm meta take"
    ]


def test_each_of_its_commands_has_a_counterpart_or_a_reason() -> None:
    named = {name for row in ROWS for name in re.findall(r"`([a-z_]+)`", row[0])}
    assert set(COMMANDS.split()) <= named
    for row in ROWS:
        assert commands(row[1]) or row[1].startswith("none"), row


async def test_they_run_as_they_stand_there(
    run: Run,
    environment: pytest.MonkeyPatch,
    own_server: Server,
    tmp_path: Path,
) -> None:
    environment.setenv("MDM_URL", own_server.url)
    environment.setenv("BEARER_TOKEN", own_server.admin_token)
    environment.chdir(tmp_path)
    for number, name in enumerate("abc"):
        Path(f"{name}.dcm").write_bytes(made(seed=number))
    printed: dict[str, str] = {}
    for row in ROWS:
        for line in commands(row[1]):
            piped = ""
            for command in line.split(" | "):
                environment.setattr("sys.stdin", io.StringIO(piped))
                ended = await run(*shlex.split(command)[1:])
                assert ended.code == 0, (command, ended.err)
                piped = ended.text
            printed[row[0]] = piped
    found = {name: text.splitlines() for name, text in printed.items()}
    assert found["`find`"] == ["/vo/study/a.dcm", "/vo/study/b.dcm"]
    assert found["`updateattr` of one, which nobody else gets"] in (["/vo/study/a.dcm"], ["/vo/study/b.dcm"])
    assert found["`find` in a view"] == ["/vo/study/a.dcm\t4", "/vo/study/b.dcm\t4"]
    assert found["`sequence_next`"] == ["1"]
    assert "  mine.quality = 3" in found["`getattr`"]
    assert (tmp_path / "study.parquet").stat().st_size
