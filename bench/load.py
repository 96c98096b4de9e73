"""The load: a process of its own, so that it shares no event loop with what it measures.

`python -m bench.load` reads a plan from its standard input and writes the outcome to its standard output.
"""

import asyncio
import itertools
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import uvloop
from hdrh.histogram import HdrHistogram

from bench.connection import Answer, Connection, WrongAnswer
from bench.plan import Cycle, Exchange, Outcome, Plan, Timing

_ROOT = Path(__file__).parents[1]
_WORST_MICROSECONDS = 600_000_000
_WRONG_KEPT = 10


async def drive(plan: Plan) -> Outcome:
    """Carry a plan out in another process. Raises WrongAnswer with what was wrong."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    try:
        result, _ = await process.communicate(plan.to_json())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise WrongAnswer(f"the load process ended with {process.returncode}")
    outcome = Outcome.from_json(result)
    if outcome.wrong:
        raise WrongAnswer("; ".join(outcome.wrong))
    return outcome


class Load:
    """One plan being carried out in this process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._wrong: list[str] = []
        self._restart()

    async def run(self) -> Outcome:
        async with AsyncExitStack() as stack:
            connections = []
            for _ in range(self._plan.connections):
                connection = await Connection.open(self._plan.host, self._plan.port)
                stack.callback(connection.close)
                connections.append(connection)
            if self._plan.seconds is not None:
                await self._share(connections, iter(self._work))
                self._restart()
            began, cpu = time.perf_counter(), _cpu()
            await self._share(connections, self._turns(began))
            seconds, cpu = time.perf_counter() - began, _cpu() - cpu
        return Outcome(
            requests=self._requests,
            volume=self._volume,
            seconds=seconds,
            client_cpu=cpu,
            wrong=self._wrong,
            whole={label: timing(times) for label, times in self._whole.items()},
            first={label: timing(times) for label, times in self._first.items()},
        )

    @property
    def _work(self) -> list[Exchange | Cycle]:
        together = itertools.zip_longest(self._plan.exchanges, self._plan.cycles)
        return [one for pair in together for one in pair if one is not None]

    def _restart(self) -> None:
        self._requests = self._volume = 0
        self._whole: dict[str, list[float]] = defaultdict(list)
        self._first: dict[str, list[float]] = defaultdict(list)

    def _turns(self, began: float) -> Iterator[Exchange | Cycle]:
        if self._plan.seconds is None:
            yield from self._work
            return
        end = began + self._plan.seconds
        yield from itertools.takewhile(lambda _: time.perf_counter() < end, itertools.cycle(self._work))

    async def _share(self, connections: list[Connection], work: Iterator[Exchange | Cycle]) -> None:
        """Each connection takes the next piece of work until none is left, or something was wrong."""

        due = self._due()

        async def take(connection: Connection) -> None:
            for piece in work:
                if len(self._wrong) >= _WRONG_KEPT:
                    return
                at = next(due)
                if at is not None and (early := at - time.perf_counter()) > 0:
                    await asyncio.sleep(early)
                try:
                    if isinstance(piece, Cycle):
                        await self._cycle(connection, piece)
                    else:
                        await self._exchange(connection, piece, at)
                except WrongAnswer as why:
                    self._wrong.append(f"{why}")
                    return
                if self._plan.pause:
                    await asyncio.sleep(self._plan.pause)

        await asyncio.gather(*map(take, connections))

    def _due(self) -> Iterator[float | None]:
        """When each piece of work is due, None where it is as soon as somebody is free."""
        if self._plan.rate is None:
            return itertools.repeat(None)
        return itertools.count(time.perf_counter(), 1 / self._plan.rate)

    async def _exchange(self, connection: Connection, exchange: Exchange, due: float | None) -> None:
        image = exchange.image
        body = image.chunks() if image else ()
        answer = await connection.ask(exchange.head.encode(), body, exchange.tail)
        _check(exchange, answer)
        began = answer.began if due is None else due
        self._count(exchange.label, answer, began, image.size if image else answer.size)

    async def _cycle(self, connection: Connection, cycle: Cycle) -> None:
        began = time.perf_counter()
        files = {file.surl: file for file in cycle.files}
        asked = {"files": [{"surl": surl} for surl in files], "view": "basic"}
        prepared = await self._srm(connection, "prepareToGet", asked)
        if any(line["status"]["statusCode"] != "SRM_FILE_PINNED" for line in prepared["files"]):
            raise WrongAnswer(f"prepareToGet answered {prepared['returnStatus']}")
        if not cycle.read:
            self._requests += 1
        for line in prepared["files"] if cycle.read else ():
            file = files[line["surl"]]
            head = request_head("GET", "/" + line["transferURL"].split("/", 3)[3], self._plan.host)
            expected = Exchange("cycle", head, None, line["fileSize"], file.tail, file.adler32)
            answer = await connection.ask(head.encode(), tail=file.tail)
            _check(expected, answer)
            self._requests += 1
            self._volume += answer.size
        released = await self._srm(connection, "releaseFiles", {"requestToken": prepared["requestToken"]})
        if released["returnStatus"]["statusCode"] != "SRM_SUCCESS":
            raise WrongAnswer(f"releaseFiles answered {released['returnStatus']}")
        self._whole["cycle"].append(time.perf_counter() - began)

    async def _srm(self, connection: Connection, operation: str, question: dict[str, Any]) -> dict[str, Any]:
        body = orjson.dumps(question)
        headers = {"Authorization": self._plan.authorization, "Content-Length": str(len(body))}
        head = request_head("POST", f"/srm/v2/{operation}", self._plan.host, headers)
        answer = await connection.ask(head.encode() + body)
        if answer.status != 200:
            raise WrongAnswer(f"{operation} answered {answer.status} {answer.text[:300]!r}")
        tree: dict[str, Any] = orjson.loads(answer.text)
        return tree

    def _count(self, label: str, answer: Answer, began: float, size: int) -> None:
        self._requests += 1
        self._volume += size
        self._whole[label].append(answer.last - began)
        self._first[label].append(answer.first - began)


def _check(exchange: Exchange, answer: Answer) -> None:
    """Every answer: its status, its length, its bytes' sum."""
    if answer.status not in (200, 201, 206):
        raise WrongAnswer(f"{exchange.label}: answered {answer.status} {answer.text[:300]!r}")
    if exchange.confirms and exchange.confirms.encode() not in answer.text:
        raise WrongAnswer(f"{exchange.label}: answered {answer.text[:300]!r}")
    if exchange.image is not None and not exchange.confirms:
        received = orjson.loads(answer.text)
        if (received["size"], int(received["adler32"], 16)) != (exchange.image.size, exchange.image.adler32):
            raise WrongAnswer(f"{exchange.label}: the server received something else")
    if exchange.size is not None and answer.size != exchange.size:
        raise WrongAnswer(f"{exchange.label}: {answer.size} bytes instead of {exchange.size}")
    if exchange.adler32 is not None and answer.adler32 != exchange.adler32:
        raise WrongAnswer(f"{exchange.label}: the bytes are not what they must be")
    if exchange.parts is not None and sorted(answer.parts) != exchange.parts:
        raise WrongAnswer(f"{exchange.label}: the parts are not what they must be")


def request_head(method: str, path: str, host: str, headers: dict[str, str] | None = None) -> str:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""])


def timing(seconds: list[float]) -> Timing:
    histogram = HdrHistogram(1, _WORST_MICROSECONDS, 3)
    for each in seconds:
        histogram.record_value(max(1, round(each * 1e6)))
    at = (histogram.get_value_at_percentile(percent) / 1000 for percent in (50, 95, 99, 99.9, 100))
    return Timing(len(seconds), *at)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    plan = Plan.from_json(sys.stdin.buffer.read())
    for exchange in plan.exchanges:
        if exchange.image is not None:
            _ = exchange.image.adler32  # Made now rather than while the clock runs.
    outcome = uvloop.run(Load(plan).run())
    sys.stdout.buffer.write(orjson.dumps(outcome))


if __name__ == "__main__":
    main()
