"""What workers answer comes over whole, and what no worker of ours would answer runs nothing and takes no room."""

import os
import pickle
import signal
import sys
import types
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

import orjson
import pytest

from bench.heads import enhanced, typical_ct
from mdm_async.confined import answers
from mdm_async.confined.answers import Answer, Unreadable
from mdm_async.dicom.pixels.plan import PixelPlan
from mdm_async.dicom.profile import Profile, basic
from mdm_async.dicom.profiles.file import parse_profile
from mdm_async.errors import NotDicom, ScrubRefused
from mdm_async.images.views.scrub_jobs import Begin, Decode

PROFILE = """
name = "all"
options = ["retain_safe_private", "retain_longitudinal_modified_dates"]
[attributes]
PatientSex = "K"
"Patient*" = "X"
"0019,xx10 ACME 1.1" = "K"
StudyDescription = { action = "D", value = "Study" }
[[rules]]
when = { Modality = "CT" }
[rules.attributes]
PatientAge = "K"
SeriesDescription = "X"
"""


@contextmanager
def sent(*messages: bytes) -> Iterator[Connection]:
    near, far = Pipe()
    writing = Thread(target=lambda: [far.send_bytes(message) for message in messages])
    with near, far:
        writing.start()
        yield near
        near.close()
        writing.join()


def there_and_back(job: Any) -> Any:
    near, far = Pipe()
    with near, far:
        writing = Thread(target=answers.send, args=(far, answers.of(job), job))
        writing.start()
        found = answers.receive(near, job, 1 << 30)
        writing.join()
    return found


def parts(value: Any) -> Any:
    return vars(value) | {"about": vars(value.about)}


@pytest.mark.parametrize("profile", [basic(), parse_profile(PROFILE)], ids=["basic", "with conditions"])
@pytest.mark.parametrize("head", [typical_ct, enhanced], ids=["small", "large"])
def test_what_a_head_gives_comes_over_whole(profile: Profile, head: Any) -> None:
    job = Begin(profile, bytes(32), head())
    found = there_and_back(job)
    assert found.kind == "done"
    assert parts(found.value) == parts(job.run())
    assert found.value.profile.digest == job.run().profile.digest


@dataclass(frozen=True)
class Raising:
    what: BaseException

    def run(self) -> None:
        raise self.what


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (ScrubRefused("burned in"), Answer("refused", "burned in")),
        (ScrubRefused("looks", quarantined=True), Answer("quarantined", "looks")),
        (NotDicom("no"), Answer("malformed", "no")),
        (KeyError("PATIENT^NAME"), Answer("mistake", "KeyError")),
    ],
)
def test_an_error_comes_over_by_what_may_be_told_of_it(what: Exception, told: Answer) -> None:
    assert there_and_back(Raising(what)) == told


class Touching:
    def __reduce__(self) -> Any:
        return os.mkdir, ("touched",)


LOADED = (signal, types, urllib.parse, uuid)
"""Or they could not be named."""
JOB = Decode(PixelPlan(), b"", b"", 1)
FORGED = {
    "a pickle": pickle.dumps(Touching()),
    "nothing": b"",
    "no answer": orjson.dumps({"done": 1}),
    "another kind": orjson.dumps(["run", 1]),
    "a function": orjson.dumps(["done", ["o", "os:mkdir", "x"]]),
    "a function of ours": orjson.dumps(["done", ["o", "mdm_async.dicom.scrub:scrub", "x"]]),
    "a class from elsewhere": orjson.dumps(["done", ["v", "mdm_async.dicom.profile:Path", ["x", 1]]]),
    "a class of another room": orjson.dumps(["done", ["o", "mdm_async.settings:Settings"]]),
    # Each of these could be made, if it were only for what it is.
    "a dataclass from elsewhere": orjson.dumps(
        ["done", ["o", "mdm_async.confined.answers:Answer", "done", 1]]
    ),
    "an object from elsewhere": orjson.dumps(["done", ["v", "types:SimpleNamespace", ["x", 1]]]),
    "a tuple from elsewhere": orjson.dumps(["done", ["n", "urllib.parse:DefragResult", "x", "y"]]),
    "a choice from elsewhere": orjson.dumps(["done", ["e", "signal:Signals", "SIGTERM"]]),
    "a constant from elsewhere": orjson.dumps(["done", ["c", "uuid:UUID", "NAMESPACE_DNS"]]),
    "a module that is not loaded": orjson.dumps(["done", ["o", "mdm_async.dicom.nothing:Region"]]),
    "a constant that is none": orjson.dumps(
        ["done", ["c", "mdm_async.dicom.elements:Encoding", "__builtins__"]]
    ),
    "a field too many": orjson.dumps(["done", ["o", "mdm_async.dicom.profile:Region", 1, 2, 3, 4, 5]]),
    "what the job has not": orjson.dumps(["done", ["j", "__class__"]]),
    "more than can be": orjson.dumps(["done", ["a", 1 << 40]]),
    "less than nothing": orjson.dumps(["done", ["a", -1]]),
    "no text": orjson.dumps(["done", ["b", "\u20ac"]]),
    "a tag that is none": orjson.dumps(["done", ["z", 1]]),
    "depth": b"[" * 5000 + b"]" * 5000,
    "a depth of ours": b'["done",' + b'["l",' * 400 + b"1" + b"]" * 401,
    "a reason that is no text": orjson.dumps(["refused", ["o", "os:mkdir"]]),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_answer_is_none(forged: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(module.__name__ in sys.modules for module in LOADED)
    monkeypatch.chdir(tmp_path)
    with sent(FORGED[forged]) as pipe:
        if forged == "a depth of ours":
            assert isinstance(answers.receive(pipe, JOB, 1 << 20).value, list)
        else:
            with pytest.raises(Unreadable):
                answers.receive(pipe, JOB, 1 << 20)
    assert not list(tmp_path.iterdir())


def test_a_byte_string_of_another_length_than_announced_is_no_answer() -> None:
    for following in (b"xx", b"xxxx"):
        with sent(orjson.dumps(["done", ["a", 3]]), following) as pipe, pytest.raises(Unreadable):
            answers.receive(pipe, JOB, 1 << 20)


def test_a_reason_is_cut_to_what_people_read() -> None:
    with sent(orjson.dumps(["refused", "x" * 100_000])) as pipe:
        assert len(answers.receive(pipe, JOB, 1).value) == 2000
