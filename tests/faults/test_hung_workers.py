"""A process that handles foreign bytes may have been taken over: however it hangs, its job ends."""

import gc
import os
import signal
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection

import pytest

from mdm_async.confined import processes
from mdm_async.confined.processes import Died, Template, Worker
from mdm_async.confined.template import Limits

LIMITS = Limits(memory=1 << 30, seconds=60)


@dataclass(frozen=True)
class Breaking:
    """Writes this where its answer belongs, and does nothing any more."""

    written: bytes

    def run(self) -> None:
        (pipe,) = (one for one in gc.get_objects() if isinstance(one, Connection))
        os.write(pipe.fileno(), self.written)
        while True:
            time.sleep(60)


@dataclass(frozen=True)
class Large:
    data: bytes

    def run(self) -> int:
        return len(self.data)


@pytest.fixture
def template() -> Iterator[Template]:
    """One of its own, for it comes to harm."""
    shared = processes.template_of(["tests.faults.test_hung_workers"], [])
    own = Template(shared._asked)
    yield own
    own.stop()


@pytest.fixture
def worker(template: Template) -> Iterator[Worker]:
    worker = template.worker(LIMITS)
    yield worker
    worker.stop()


def message(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


@pytest.mark.parametrize(
    "half",
    [b"", b"\0", message(b"x" * 99)[:50], message(b'["done",["a",5000]]')],
    ids=["none", "a byte", "half", "without its bytes"],
)
def test_half_an_answer_is_not_waited_for_for_ever(worker: Worker, half: bytes) -> None:
    with pytest.raises(Died) as died:
        worker.ask(Breaking(half), 0.3, 1 << 20)
    assert died.value.code is None


def test_a_job_that_nobody_reads_is_not_written_for_ever(worker: Worker) -> None:
    answer = worker.ask(Breaking(message(b'["done",1]')), 60, 1 << 20)
    assert answer.value == 1
    with pytest.raises(Died) as died:
        worker.ask(Large(bytes(8 << 20)), 0.3, 1 << 20)
    assert died.value.code is None


def test_a_template_that_has_stopped_is_replaced(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    template.had()
    assert template._running is not None
    stopped = template._running._process
    os.kill(stopped.pid, signal.SIGSTOP)
    monkeypatch.setattr(processes, "_FORKED", 0.5)
    end = Template._end

    def ended(own: Template) -> None:
        monkeypatch.undo()
        end(own)

    monkeypatch.setattr(Template, "_end", ended)
    worker = template.worker(LIMITS)
    assert worker.ask(Large(b"abc"), 60, 1 << 20).value == 3
    assert stopped.poll() is not None
    worker.stop()
