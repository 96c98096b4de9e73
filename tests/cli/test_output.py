"""What a server, a file or a user wrote is shown on the terminal as text, and never obeyed."""

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_async.cli import output
from mdm_async.cli.output import plain
from tests.cli.conftest import Run
from tests.client.fake_server import TOKEN, FakeServer, fake_server

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.\u2066\r\b\x00\u200b"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    assert not RAW.search(plain(text))
    assert "\n" not in plain(text)


@given(st.text(alphabet=st.characters(categories=["L", "M", "N", "P", "S"])))
def test_words_of_any_script_stay_as_they_are(text: str) -> None:
    assert plain(text) == text


def test_what_is_not_shown_is_told_by_its_number() -> None:
    assert plain("a\x1b[1m\u202e\U000e0001") == "a\\x1b[1m\\u202e\\U000e0001"


CLI = Path(output.__file__).parent
_AROUND = re.compile(r"\bprint\(|\.print\(|sys\.(?:stdout|stderr)\.write\(|typer\.(?:echo|secho)\(")
_OWN_WORDS = {
    "output.py": "the one place",
    "tables.py": "its rows are plain",
    "audit/verify.py": "one sentence of its own",
    "demo/report.py": "its own words; faults are plain",
    "demo/run.py": "its own server's URL",
    "demo/command.py": "its own folder",
    "keys/of_images.py": "a number",
    "keys/shred.py": "plain lines",
    "profile/apply.py": "plain lines",
    "waiting.py": "one plain line",
}


def test_nothing_goes_to_the_terminal_around_it() -> None:
    found = {str(file.relative_to(CLI)) for file in CLI.rglob("*.py") if _AROUND.search(file.read_text())}
    assert found <= _OWN_WORDS.keys()


@pytest.fixture
async def liar(environment: pytest.MonkeyPatch) -> Any:
    """A server whose names and reasons hold control characters."""
    async with fake_server() as fake:
        environment.setenv("MDM_URL", fake.url)
        environment.setenv("BEARER_TOKEN", TOKEN)
        environment.setattr(
            FakeServer,
            "failure",
            staticmethod(lambda surl, code, reason: {
                "surl": surl,
                "status": {"statusCode": code, "explanation": f"{reason}{EVIL}", "remedy": EVIL},
            }),
        )  # fmt: skip
        fake.files[f"/{EVIL}.dcm"] = b"x" * 100
        yield fake


@pytest.mark.parametrize(
    "words",
    [
        ["ls", "/"],
        ["ls", "-l", "/"],
        ["stat", f"/{EVIL}.dcm"],
        ["stat", "/none"],
        ["mkdir", "/none/below"],
        ["get", "/none", "out"],
        ["get", "-r", "/", "out"],
        ["put", f"{EVIL}.dcm", "/x"],
        [f"{EVIL}"],
        ["ls", f"--{EVIL}"],
    ],
)
async def test_a_lying_server_moves_no_cursor(
    liar: FakeServer, run: Run, tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = await run(*words)
    assert ended.text or ended.err
    assert not RAW.search(ended.text), ended.text
    assert not RAW.search(ended.err), ended.err


async def test_json_has_what_the_server_said(liar: FakeServer, run: Run) -> None:
    ended = await run("stat", "/none", "--json")
    assert EVIL in ended.json[0]["error"]["detail"]
    assert not RAW.search(ended.text)


@given(st.text())
def test_json_steers_no_terminal_and_reads_as_it_was(text: str) -> None:
    with redirect_stdout(StringIO()) as out:
        output.print_json({"detail": text})
    assert not RAW.search(out.getvalue())
    assert orjson.loads(out.getvalue()) == {"detail": text}
