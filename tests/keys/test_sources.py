"""Key-encryption keys come from a file, the environment, or a command; what is wrong with them is told, and no byte."""

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from mdm_async.errors import MdmError, Unavailable, UnsafeSettings
from mdm_async.keys.command import KekCommand
from mdm_async.keys.kept_file import KeptKeks
from mdm_async.keys.named_source import kek_source
from mdm_async.keys.sources import KekFile, KekSource
from mdm_async.settings.keys import KekSettings
from tests.faults.conditions import until

NEW, OLD = (base64.b64encode(bytes(range(start, start + 32))).decode() for start in (1, 101))
BOTH = [base64.b64decode(NEW), base64.b64decode(OLD)]
WRONG = {
    "nothing": "",
    "too short": base64.b64encode(b"k" * 31).decode(),
    "too long": base64.b64encode(b"k" * 33).decode(),
    "not base64": NEW[:-2] + "!=",
    "not ASCII": NEW[:-2] + "é=",
}


def program(tmp_path: Path, script: str) -> Path:
    path = tmp_path / "print-keys"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


def secret(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "site-kek"
    path.write_text(text)
    path.chmod(0o600)
    return path


async def test_each_source_gives_the_one_in_use_and_older_ones(tmp_path: Path) -> None:
    text = f"{NEW}\n{OLD}\n"
    given = [
        KekSettings(kek=SecretStr(text)),
        KekSettings(kek_file=secret(tmp_path, text)),
        KekSettings(kek_command=(str(program(tmp_path, f"echo {NEW}; echo {OLD}")),)),
    ]
    for settings in given:
        source = kek_source(settings, tmp_path / "none")
        source.check()
        assert await source.read() == BOTH
    assert not (tmp_path / "none").exists()


async def test_the_servers_own_file_is_made_once(tmp_path: Path) -> None:
    source = kek_source(KekSettings(), tmp_path / "kek")
    assert isinstance(source, KeptKeks)
    source.check()
    assert source.make()
    made = await source.read()
    assert not source.make()
    assert await source.read() == made
    assert source.path.stat().st_mode & 0o777 == 0o600


async def test_a_file_and_a_command_are_read_anew_each_time(tmp_path: Path) -> None:
    file = KekFile(secret(tmp_path, OLD))
    command = KekCommand([str(program(tmp_path, f"cat {file.path}"))])
    for source in (file, command):
        file.path.write_text(OLD)
        assert await source.read() == BOTH[1:]
        file.path.write_text(f"{NEW}\n{OLD}")
        assert await source.read() == BOTH


def sources(tmp_path: Path, text: str) -> list[KekSource]:
    file = secret(tmp_path, text)
    command = str(program(tmp_path, f"cat {file}"))
    return [kek_source(KekSettings(kek_file=file), file), KekCommand([command]), KeptKeks(file)]


@pytest.mark.parametrize("why", WRONG)
async def test_a_key_that_is_none_is_refused_by_its_place_and_not_shown(tmp_path: Path, why: str) -> None:
    for source in sources(tmp_path, WRONG[why]):
        with pytest.raises(MdmError) as refused:
            await source.read()
        assert source.name in str(refused.value)
        assert NEW[:20] not in str(refused.value)
        assert WRONG[why][:20] not in str(refused.value) or not WRONG[why]


async def test_a_file_that_others_can_read_or_that_is_gone_is_refused(tmp_path: Path) -> None:
    source = KekFile(secret(tmp_path, NEW))
    source.path.chmod(0o640)
    with pytest.raises(UnsafeSettings, match="site-kek is open to others; chmod 600"):
        await source.read()
    source.path.unlink()
    with pytest.raises(UnsafeSettings, match="site-kek cannot be read"):
        await source.read()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (f"echo {NEW}; echo secret >&2; exit 3", "ended with code 3"),
        (f"while :; do echo {NEW}; done", "printed more than keys"),
        ("printf '\\377'", "printed what is not text"),
        (f"echo {NEW}; kill -9 $$", "ended with code -9"),
    ],
)
async def test_a_command_that_fails_is_told_of_without_what_it_printed(
    tmp_path: Path, script: str, told: str
) -> None:
    with pytest.raises(Unavailable, match=told) as refused:
        await KekCommand([str(program(tmp_path, script))]).read()
    assert NEW not in str(refused.value)
    assert "secret" not in str(refused.value)


async def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    hanging = program(tmp_path, f"sleep 1000 & echo $! > {pid}; wait")
    with pytest.raises(Unavailable, match=r"did not end within 0\.5 seconds"):
        await KekCommand([str(hanging)], patience=0.5).read()
    stat = Path(f"/proc/{int(pid.read_text())}/stat")
    await until(lambda: not stat.exists() or ") Z " in stat.read_text())


async def test_a_command_is_given_nothing_of_the_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDM_KEYS__KEK", OLD)
    monkeypatch.setenv("VAULT_ADDR", "there")
    script = f'test -z "$MDM_KEYS__KEK" && test "$VAULT_ADDR" = there && ! read line && echo {NEW}'
    assert await KekCommand([str(program(tmp_path, script))]).read() == BOTH[:1]


async def test_a_command_that_others_could_change_is_not_run(tmp_path: Path) -> None:
    path = program(tmp_path, f"touch {tmp_path}/ran; echo {NEW}")
    for mode, told in ((0o720, "changed by others"), (0o702, "changed by others"), (0o600, "cannot be run")):
        path.chmod(mode)
        with pytest.raises(UnsafeSettings, match=told):
            await KekCommand([str(path)]).read()
    path.unlink()
    with pytest.raises(UnsafeSettings, match="No such file"):
        await KekCommand([str(path)]).read()
    assert not (tmp_path / "ran").exists()


def test_a_command_is_named_by_its_whole_path() -> None:
    with pytest.raises(ValueError, match="whole path"):
        KekSettings(kek_command=("vault", "read"))
