"""Keys, looked for in all that is said: the log, answers, tracebacks, and what objects show of themselves."""

import base64
import gc
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdm_async.errors import MdmError
from mdm_async.images.parts import record
from mdm_async.images.reading import sealed
from mdm_async.keys.derive import StreamKey
from mdm_async.keys.wrap import Wrapper
from mdm_async.postgres.database import connect
from tests.conftest import Server, running_server
from tests.faults.transfers import RECIPIENT
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.test_privacy import captured_log


class Needles:
    """Every key that was in anybody's hands."""

    def __init__(self, *keys: bytes) -> None:
        self._keys = set(keys)

    def add(self, key: bytes | bytearray) -> None:
        if len(key) >= 16:  # the proof of a key-encryption key is a word
            self._keys.add(bytes(key))

    def __len__(self) -> int:
        return len(self._keys)

    def found_in(self, text: str) -> bool:
        """Whole or half of one, however it is written."""
        plain = text.encode("utf-8", "replace")
        folded = text.lower()
        for half in {half for key in self._keys for half in (key[: len(key) // 2], key[len(key) // 2 :])}:
            as_text = {half.hex(), str(list(half))[1:-1]}
            cased = {base64.b64encode(half)[:-4].decode(), repr(half)[2:-1]}
            if half in plain or any(t in folded for t in as_text) or any(t in text for t in cased):
                return True
        return False


@pytest.fixture
def needles(monkeypatch: pytest.MonkeyPatch) -> Needles:
    kept = Needles()
    wrap, unwrap, derived = Wrapper.wrap, Wrapper.unwrap, StreamKey.derived

    def spy_wrap(self: Wrapper, secret: bytes, *owner: bytes | str) -> bytes:
        kept.add(secret)
        return wrap(self, secret, *owner)

    def spy_unwrap(self: Wrapper, *given: Any) -> bytes:
        secret = unwrap(self, *given)
        kept.add(secret)
        return secret

    def spy_derived(*given: Any) -> StreamKey:
        made_key = derived(*given)
        kept.add(made_key.key)
        return made_key

    monkeypatch.setattr(Wrapper, "wrap", spy_wrap)
    monkeypatch.setattr(Wrapper, "unwrap", spy_unwrap)
    monkeypatch.setattr(StreamKey, "derived", spy_derived)
    return kept


async def _tried(server: Server, told: list[str]) -> None:
    """Reads, of whatever is wrong just now; all that is answered."""
    server.cool()
    told += [
        str(await server.srm("prepareToGet", expect=None, files=[{"surl": "/a.dcm"}], **how))
        for how in ({}, {"recipient": RECIPIENT}, {"view": "identified"})
    ]
    for target in ("/a.dcm", "/admin/v1/status", "/admin/v1/keys", "/metrics"):
        answer = await server.call("GET", target, token=server.admin_token)
        told += [str(dict(answer.headers)), "" if target == "/a.dcm" else answer.body.decode()]
    try:
        await server.put("/b.dcm", made())
    except AssertionError as why:
        told.append(str(why))


def _with_words_of(key: Callable[..., bytes]) -> Callable[..., Any]:
    def fail(*given: Any, **named: Any) -> None:
        raise LookupError(repr(key(*given, **named)))

    return fail


async def test_no_failure_tells_a_key(
    postgres: PostgresForTests,
    migrated: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    needles: Needles,
) -> None:
    kek = os.urandom(32)
    needles.add(kek)
    dsn = await postgres.fresh_database(migrated)
    told: list[str] = []
    keys = {"kek": base64.b64encode(kek).decode()}
    with captured_log() as log:
        async with running_server(tmp_path / "data", dsn, keys=keys) as server:
            await server.put("/a.dcm", made())
            await _tried(server, told)
            with monkeypatch.context() as broken:  # what nobody foresaw, with a key in its words
                broken.setattr(record, "unseal", _with_words_of(lambda *given: given[1]))
                await _tried(server, told)
            with monkeypatch.context() as broken:
                broken.setattr(sealed, "seal", _with_words_of(lambda view, *_: bytes(view.parts[0].key.key)))
                await _tried(server, told)
            shown = _shown()
            async with connect(dsn) as db:
                spoilt = (
                    "set_byte(wrapped, length(wrapped) - 1, 255 - get_byte(wrapped, length(wrapped) - 1))"
                )
                await db.execute(f"update mdm_keys.image_secrets set wrapped = {spoilt}")
                await _tried(server, told)
                await db.execute("update mdm_keys.image_secrets set epoch = 77")
                await _tried(server, told)
                await db.execute("alter table mdm_keys.image_secrets rename to elsewhere")
                await _tried(server, told)
    assert len(needles) > 10
    assert "LookupError" in log.getvalue()
    for said in (log.getvalue(), "\n".join(told), "\n".join(shown)):
        assert not needles.found_in(said)
    assert needles.found_in(f"so it would be found: {kek!r}")
    assert needles.found_in(f"so it would be found: {keys}")


def _shown() -> set[str]:
    """What every object of ours shows of itself."""
    shown = set()
    for each in gc.get_objects():
        if str(getattr(type(each), "__module__", "")).startswith("mdm_async."):
            try:
                shown.add(f"{each!r} {each!s}")
            except Exception as why:  # one that is half made
                shown.add(type(why).__name__)
    return shown


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
async def test_a_key_of_a_wrong_length_is_refused_by_its_place_and_not_by_its_bytes(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, length: int
) -> None:
    kek = os.urandom(length)
    text = base64.b64encode(kek).decode()
    with captured_log() as log, pytest.raises((MdmError, ValueError)) as refused:
        async with running_server(tmp_path / "data", migrated, keys={"kek": text or " "}):
            pass
    said = log.getvalue() + "".join(traceback.format_exception(refused.value))
    assert not length or not Needles(kek).found_in(said)


async def test_another_key_than_what_is_there_was_wrapped_under_is_refused_untold(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, needles: Needles
) -> None:
    dsn = await postgres.fresh_database(migrated)
    for number in range(2):
        kek = os.urandom(32)
        needles.add(kek)
        keys = {"kek": base64.b64encode(kek).decode()}
        with captured_log() as log:
            if number == 0:
                async with running_server(tmp_path / "data", dsn, keys=keys):
                    continue
            with pytest.raises(MdmError) as refused:
                async with running_server(tmp_path / "data", dsn, keys=keys):
                    pass
        assert not needles.found_in(log.getvalue() + "".join(traceback.format_exception(refused.value)))
