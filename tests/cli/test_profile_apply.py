"""`mdm profile apply`: told beforehand, asked, shown, and at the end what came of it."""

import asyncio
import io
import os
import signal
from typing import Any, cast

import pytest
from aiohttp import web
from rich.console import Console

from mdm_async.cli.profile import apply
from mdm_async.cli.profile.apply import bar_on, plan_in_words, until_made
from mdm_async.client.profiles import Profiles
from tests.cli.conftest import command
from tests.cli.test_profile_try import png_like_capture
from tests.patience import PATIENCE


@pytest.fixture
async def profile(mdm, tmp_path):
    """A profile in force, which blanks a corner of CT images."""
    name = f"p{os.urandom(4).hex()}"
    path = tmp_path / "p.toml"
    path.write_text(f'name = "{name}"\n[[pixels]]\nwhen = {{ Modality = "CT" }}\nblank = [[0, 0, 9, 9]]\n')
    assert (await mdm("profile", "add", path)).code == 0
    return name


async def test_a_dry_run_only_tells(mdm, server, folder, profile, ct):
    await server.put(f"{folder}/a.dcm", ct)
    told = await mdm("profile", "apply", profile, folder, "--dry-run")
    assert (told.code, told.err) == (0, "")
    assert told.text.splitlines() == [
        f"{profile} below {folder}: 1 image, 1 head is made anew",
        "  of 1 image the pixels are read and rewritten: 32.0 KiB",
        "  all other pixels stay as they are, unread",
    ]
    assert (await mdm("get", f"{folder}/a.dcm", "-", "--view", profile)).code == 11
    json = (await mdm("profile", "apply", profile, folder, "--dry-run", "--json")).json
    assert json["plan"]["pixels"] == 1


async def test_views_are_made_and_served_and_become_the_default(mdm, server, folder, profile, ct):
    await server.put(f"{folder}/a.dcm", ct)
    await server.put(f"{folder}/sc.dcm", png_like_capture())
    basic = (await mdm("get", f"{folder}/a.dcm", "-")).out
    done = await mdm("profile", "apply", profile, folder, "--yes", "--default")
    assert (done.code, done.err) == (0, "")
    lines = done.text.splitlines()
    assert f"{profile}: 2 ready" in lines
    assert not any(line.startswith("mdm profile report") for line in lines)
    assert (await mdm("stat", f"{folder}/a.dcm", "--json")).json[0]["view"] == profile
    made = (await mdm("get", f"{folder}/a.dcm", "-")).out
    assert made != basic
    again = await mdm("profile", "apply", profile, folder, "--yes")
    assert again.text.splitlines()[0] == f"{profile} below {folder}: 2 images, 0 heads are made anew"


async def test_what_is_refused_is_counted_and_where_to_read_why(mdm, server, folder, tmp_path, ct):
    await server.put(f"{folder}/sc.dcm", png_like_capture())
    await server.put(f"{folder}/a.dcm", ct)
    done = await mdm("profile", "apply", "basic", folder, "--yes")
    assert done.code == 0, done.err
    assert done.text.splitlines()[-2:] == [
        "basic: 1 ready, 1 refused",
        f"mdm profile report {folder} --view basic tells why",
    ]


async def test_without_a_terminal_and_without_yes_nothing_is_done(mdm, folder, profile, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    ended = await mdm("profile", "apply", profile, folder)
    assert (ended.code, ended.out) == (2, b"")
    assert "give --yes" in ended.err


async def test_on_a_terminal_it_asks(mdm, folder, profile, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    ended = await mdm("profile", "apply", profile, folder)
    assert ended.code == 1
    assert "Go on?" in ended.err
    assert "no pixels are touched" in ended.text
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert (await mdm("profile", "apply", profile, folder)).text.endswith(f"{profile}: no images\n")


async def test_what_is_not_there_is_code_2(mdm, folder, profile):
    ended = await mdm("profile", "apply", profile, f"{folder}/none", "--yes")
    assert ended.code == 3
    assert f"below {folder}/none: no such file or directory" in ended.err
    ended = await mdm("profile", "apply", "no-such-profile", folder, "--yes")
    assert ended.code == 3
    assert "mdm profile add" in ended.err


async def test_no_wait_ends_at_once_with_how_it_stands(mdm, folder, profile):
    ended = await mdm("profile", "apply", profile, folder, "--yes", "--no-wait", "--json")
    assert ended.json["states"] == {"ready": 0, "refused": 0, "quarantined": 0, "pending": 0}


class StubbedWire:
    """Answers as a server that makes one view between two questions."""

    def __init__(self, pending):
        self.pending = pending

    async def operate(self, method, path, body=None, *, repeat=False):
        self.pending -= 1
        return {"ready": 9 - self.pending, "refused": 0, "quarantined": 1, "pending": self.pending}


async def test_it_asks_until_nothing_is_pending_and_shows_how_far_it_is(monkeypatch):
    monkeypatch.setattr(apply, "POLL_SECONDS", 0)
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with bar_on(console) as bar:
        states = await until_made(Profiles(StubbedWire(4)), "cardio", "/", bar)
    assert states["pending"] == 0
    assert "10/10" in console.file.getvalue()
    assert "9 ready, 1 quarantined" in console.file.getvalue()


@pytest.mark.usefixtures("environment")
async def test_ctrl_c_says_that_the_server_goes_on():
    asked = asyncio.Event()
    states = {"ready": 0, "refused": 0, "quarantined": 0, "pending": 5}

    async def answer(request):
        if request.path.endswith("/plan"):
            return web.json_response({"images": 5, "heads": 5, "pixels": 0, "pixelBytes": 0})
        if request.path.endswith("/progress"):
            asked.set()
        return web.json_response(states)

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        process = await asyncio.create_subprocess_exec(
            *command("profile", "apply", "cardio", "/ct", "--yes"),
            env=os.environ | {"MDM_URL": url, "BEARER_TOKEN": "a-token"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            await asked.wait()
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
    finally:
        await runner.cleanup()
    assert process.returncode == 130
    assert (
        err == b"mdm: cardio below /ct: interrupted; the server goes on making these views;"
        b" the same command shows it again\n"
    )


def test_no_pixels_touched_is_said():
    plan = {"images": 3, "heads": 3, "pixels": 0, "pixelBytes": 0}
    assert plan_in_words("cardio", "/vo", plan)[-1] == "  no pixels are touched"


def test_it_does_not_wait_for_ever_for_images_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Stuck:
        async def progress(self, name: str, directory: str) -> dict[str, int]:
            return {"ready": 1, "refused": 0, "quarantined": 0, "pending": 2}

    monkeypatch.setattr(apply, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(apply, "POLL_SECONDS", 0.001)
    states = asyncio.run(apply.until_made(cast(Any, Stuck()), "p", "/", apply.Bar(None)))
    assert states["pending"] == 2
