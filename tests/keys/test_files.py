"""The secrets directory is made once, and for its owner only."""

import base64
from pathlib import Path

import pytest

from mdm_async.errors import UnsafeSettings
from mdm_async.keys import files


def test_secrets_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    directory = files.secrets_directory(tmp_path / "data" / "secrets")
    assert directory.stat().st_mode & 0o777 == 0o700
    assert files.read_or_create(directory / "kek", "first") == ("first", True)
    assert files.read_or_create(directory / "kek", "second") == ("first", False)
    assert (directory / "kek").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in directory.iterdir()] == ["kek"]


def test_secrets_that_others_can_read_are_refused(tmp_path: Path) -> None:
    directory = files.secrets_directory(tmp_path / "secrets")
    files.read_or_create(directory / "kek", "x")
    (directory / "kek").chmod(0o640)
    with pytest.raises(UnsafeSettings, match="chmod 600"):
        files.read_or_create(directory / "kek", "y")
    directory.chmod(0o750)
    with pytest.raises(UnsafeSettings, match="chmod 700"):
        files.secrets_directory(tmp_path / "secrets")


@pytest.mark.parametrize("text", ["", "short", "not base64!", base64.b64encode(bytes(31)).decode()])
def test_a_damaged_key_is_refused_by_name(text: str) -> None:
    with pytest.raises(UnsafeSettings, match="DIR/kek"):
        files.decode_keks(text, "DIR/kek")


def test_a_fresh_key_is_one() -> None:
    assert [len(kek) for kek in files.decode_keks(files.fresh_kek(), "kek")] == [32]
