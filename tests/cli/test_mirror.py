"""`mdm mirror add`, as somebody gets it wrong."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.conftest import Server


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "credential has no credential of a mirror; it is the line that `mdm mirror accept` prints"),
        ("two words", "credential has no credential of a mirror"),
        (
            "another",
            "the second site says: no mirror has this credential; mdm mirror accept, at the second site",
        ),
    ],
)
async def test_what_is_no_credential_is_told_as_that(
    mdm: Run, server: Server, folder: str, tmp_path: Path, said: str, told: str
) -> None:
    file = tmp_path / "credential"
    file.write_text(said)
    ended = await mdm("mirror", "add", "site-b", "--to", server.url, folder, "--credential", file)
    assert ended.code != 0
    assert told in ended.err
