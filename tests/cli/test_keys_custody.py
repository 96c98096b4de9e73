"""`mdm keys split` and `mdm keys unseal`: share files, passphrases, and a server that starts sealed."""

import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mdm_async.cli.keys import split
from mdm_async.cli.main import main
from mdm_async.client.share_files import open_share
from mdm_async.keys.custody import CustodyShare, joined
from tests.web.starting_sealed import starting

WORDS = "quill marble orchid seven"


@dataclass(frozen=True)
class Held:
    """The share files of one split, two of three, and a file with the passphrase of each."""

    files: list[Path]
    passphrases: list[Path]

    def unseal(self, *places: int) -> list[object]:
        """The command line that gives those."""
        told: list[object] = ["keys", "unseal", *(self.files[place] for place in places)]
        for place in places:
            told += ["--passphrase-file", self.passphrases[place]]
        return told


@pytest.fixture(scope="session")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    folder = tmp_path_factory.mktemp("custodians")
    passphrases = []
    for number in range(3):
        passphrases.append(folder / f"passphrase{number}")
        passphrases[-1].touch(mode=0o600)
        passphrases[-1].write_text(f"{WORDS} {number}\n")
    options = [option for file in passphrases for option in ("--passphrase-file", str(file))]
    assert main(["keys", "split", str(folder / "s"), "--threshold", "2", "--shares", "3", *options]) == 0
    return Held(sorted((folder / "s").iterdir()), passphrases)


def test_each_custodian_gets_an_age_file_that_their_passphrase_opens(held):
    for file in held.files:
        assert file.read_text().startswith("-----BEGIN AGE ENCRYPTED FILE-----")
        assert file.stat().st_mode & 0o777 == 0o400
    share = CustodyShare.parse(open_share(held.files[1], f"{WORDS} 1"))
    names = [f"share-{share.split}-{index}-of-3.age" for index in (1, 2, 3)]
    assert [file.name for file in held.files] == names


async def test_two_of_three_custodians_unseal_a_server_one_after_the_other(
    held, run, environment, postgres, migrated, tmp_path
):
    dsn = await postgres.fresh_database(migrated)
    async with starting(tmp_path / "data", dsn) as sealed:
        environment.setenv("MDM_DATA", str(sealed.data))
        ended = await run("keys", "unseal")
        assert (ended.code, ended.text) == (0, "the catalog's own keys: sealed\n")
        ended = await run("ls", "/")
        assert (ended.code, "the server is sealed" in ended.err) == (11, True)
        ended = await run(*held.unseal(2))
        assert ended.code == 0, ended.err
        assert "sealed; 1 of 2 shares of split" in ended.text
        again = await run("keys", "unseal", "--json")
        assert again.json["stores"][0]["given"] == [3]
        ended = await run(*held.unseal(0))
        assert (ended.code, ended.text.splitlines()[-1]) == (0, "the catalog's own keys: open")
        await sealed.ready
        assert (await run("ls", "/")).code == 0


def test_a_wrong_passphrase_and_a_flipped_bit_are_told_and_nothing_is_sent(
    held, environment, tmp_path, capsys
):
    wrong = held.unseal(0)
    wrong[-1] = held.passphrases[1]
    spoilt = tmp_path / "spoilt.age"
    text = bytearray(held.files[0].read_bytes())
    text[300] ^= 1
    spoilt.touch(mode=0o600)
    spoilt.write_bytes(text)
    for command in (wrong, ["keys", "unseal", spoilt, "--passphrase-file", held.passphrases[0]]):
        assert main([str(each) for each in command]) != 0
        said = capsys.readouterr().err
        assert "does not open; is it the passphrase of this file" in said
        assert WORDS not in said


def test_files_that_others_can_read_are_refused(held, environment, tmp_path, capsys):
    for place, name in enumerate(("share.age", "words")):
        open_to_all = tmp_path / name
        shutil.copyfile((held.files, held.passphrases)[place][0], open_to_all)
        open_to_all.chmod(0o644)
        files = [held.files[0], held.passphrases[0]]
        files[place] = open_to_all
        assert main(["keys", "unseal", str(files[0]), "--passphrase-file", str(files[1])]) != 0
        assert f"{open_to_all} is open to others; chmod 600" in capsys.readouterr().err


@pytest.fixture
def bare(environment, tmp_path) -> Callable[..., int]:
    """`mdm keys split`, without the second that each passphrase takes."""
    environment.setattr(split, "lock_share", lambda share, _: share)
    environment.setattr(split, "open_share", lambda path, _: path.read_text())
    words = tmp_path / "words"
    words.touch(mode=0o600)
    words.write_text(WORDS)

    def run(folder: Path, *after: Path, shares: int = 2, threshold: int = 2, drop_older: bool = False) -> int:
        options = [option for file in after for option in ("--after", str(file))]
        options += ["--drop-older"] if drop_older else []
        options += ["--passphrase-file", str(words)] * (len(after) + shares)
        numbers = ("--threshold", str(threshold), "--shares", str(shares))
        return main(["keys", "split", str(folder), *numbers, *options])

    return run


def _in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_new_key_is_shared_above_the_one_in_use(bare, tmp_path):
    assert bare(tmp_path / "old", shares=3) == 0
    first, _, third = _in(tmp_path / "old")
    assert bare(tmp_path / "new", first, third) == 0
    old, new = (
        joined([CustodyShare.parse(file.read_text()) for file in _in(tmp_path / name)[:2]])
        for name in ("old", "new")
    )
    assert (len(old), len(new)) == (1, 2)
    assert new[1] == old[0] != new[0]


def test_once_all_is_under_a_new_key_that_one_alone_is_shared(bare, tmp_path, capsys):
    """Who could not be rid of the older ones would never see them destroyed, nor a shred final."""
    assert bare(tmp_path / "old") == 0
    assert bare(tmp_path / "new", *_in(tmp_path / "old")) == 0
    assert bare(tmp_path / "alone", *_in(tmp_path / "new"), drop_older=True) == 0
    new, alone = (
        joined([CustodyShare.parse(file.read_text()) for file in _in(tmp_path / name)])
        for name in ("new", "alone")
    )
    assert alone == new[:1]
    assert bare(tmp_path / "none", drop_older=True) != 0
    assert "--after SHARE" in capsys.readouterr().err


def test_a_new_key_above_the_one_in_use_takes_as_many_custodians_as_unsealing(bare, tmp_path, capsys):
    for name in ("one", "two"):
        assert bare(tmp_path / name, shares=3) == 0
    files = _in(tmp_path / "one")
    assert bare(tmp_path / "new", files[0]) != 0
    assert "it takes more of that split" in capsys.readouterr().err
    assert bare(tmp_path / "new", files[0], files[0]) != 0
    assert "it takes more of that split" in capsys.readouterr().err
    assert bare(tmp_path / "new", files[0], _in(tmp_path / "two")[1]) != 0
    assert "of another split" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--threshold", "1", "--shares", "3"], "1 of 3 custodians cannot work"),
        (["--threshold", "4", "--shares", "3"], "4 of 3 custodians cannot work"),
        (["--threshold", "2", "--shares", "256"], "2 of 256 custodians cannot work"),
        (
            ["--threshold", "2", "--shares", "3", "--passphrase-file", "/nowhere"],
            "3 passphrases to give, and 1",
        ),
    ],
)
def test_a_split_that_cannot_work_is_refused(options, why, environment, tmp_path, capsys):
    assert main(["keys", "split", str(tmp_path / "s"), *options]) != 0
    assert why in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_passphrases_that_are_too_short_are_refused(environment, tmp_path, capsys):
    short = tmp_path / "short"
    short.touch(mode=0o600)
    short.write_text("swordfish")
    options = ["--threshold", "2", "--shares", "2", *(["--passphrase-file", str(short)] * 2)]
    assert main(["keys", "split", str(tmp_path / "s"), *options]) != 0
    assert "12 characters at least" in capsys.readouterr().err


def test_key_files_of_a_wrong_length_are_refused_untold(environment, tmp_path, capsys):
    kek = tmp_path / "kek"
    kek.touch(mode=0o600)
    kek.write_text(text := os.urandom(31).hex())
    words = tmp_path / "words"
    words.touch(mode=0o600)
    words.write_text(WORDS)
    options = ["--threshold", "2", "--shares", "2", *(["--passphrase-file", str(words)] * 2)]
    assert main(["keys", "split", str(tmp_path / "s"), "--kek-file", str(kek), *options]) != 0
    said = capsys.readouterr().err
    assert "not 32 bytes in base64" in said
    assert text not in said


async def test_without_a_terminal_nobody_is_asked_for_a_passphrase(run, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("p1\np1\n"))
    ended = await run("keys", "split", tmp_path, "--threshold", "2", "--shares", "3")
    assert (ended.code, "--passphrase-file" in ended.err) == (2, True)
