"""`mdm config` and `mdm serve`: settings in, reasons out."""

import asyncio
import os
import re
import signal
import tomllib
from pathlib import Path

import pytest

from mdm_async.cli.server.serve import overrides
from tests.cli.conftest import command


async def test_every_setting_is_shown_with_its_meaning_and_secrets_are_masked(run, environment):
    environment.setenv("MDM_DATABASE__DSN", "postgres://u:very-secret@h/d")
    for options in ([], ["--json"]):
        shown = await run("config", "show", *options)
        assert shown.code == 0
        assert "very-secret" not in shown.text
        assert "********" in shown.text
    assert (await run("config", "show", "--json")).json["server"]["port"] == 8085


async def test_what_is_shown_is_a_settings_file(run, tmp_path):
    (tmp_path / "mdm.toml").write_text("[server]\nport = 9000\n")
    shown = await run("config", "show", "--config", tmp_path / "mdm.toml")
    assert tomllib.loads(shown.text)["server"]["port"] == 9000
    (tmp_path / "again.toml").write_bytes(shown.out)
    assert (await run("config", "show", "--config", tmp_path / "again.toml")).out == shown.out


async def test_unsafe_settings_are_refused_with_every_reason(run, tmp_path):
    (tmp_path / "mdm.toml").write_text('[server]\nhost = "0.0.0.0"\n')
    ended = await run("config", "check", "--config", tmp_path / "mdm.toml")
    assert (ended.code, ended.out) == (78, b"")
    assert "unencrypted" in ended.err
    (tmp_path / "mdm.toml").write_text('[server]\nport = "x"\ncolour = 1\n')
    ended = await run("config", "check", "--config", tmp_path / "mdm.toml")
    assert ended.code == 78
    assert all(line.startswith("mdm: ") for line in ended.err.splitlines())
    assert "server.port" in ended.err
    assert "server.colour" in ended.err


async def test_safe_settings_pass(run, environment):
    environment.setenv("MDM_SERVER__PORT", "0")  # the usual one may be another server's
    assert (await run("config", "check")).code == 0
    assert (await run("config", "check", "--json")).json == {"ok": True}


async def test_serve_refuses_unsafe_settings_before_it_starts_anything(run, tmp_path):
    ended = await run("serve", "--data", tmp_path / "data", "--host", "0.0.0.0")
    assert ended.code == 78
    assert not (tmp_path / "data").exists()


def test_options_override_only_what_they_name():
    assert overrides(None, {"port": None, "host": None}) == {}
    assert overrides(Path("d"), {"port": 0, "host": None}) == {"data": Path("d"), "server": {"port": 0}}


@pytest.mark.usefixtures("environment")
async def test_serve_says_when_it_is_ready_and_ends_with_0_on_sigterm(own_folder):
    log = own_folder / "log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *command("serve", "--data", own_folder / "data", "--port", 0),
            stdout=asyncio.subprocess.PIPE,
            stderr=sink,
            env=dict(os.environ),
        )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert re.fullmatch(r"mdm: ready at http://127\.0\.0\.1:\d+\n", line), log.read_text()
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
