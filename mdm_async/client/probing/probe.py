"""The steps of a probe, each timed, and what they amount to."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, Protocol

from mdm_async.client.probing.credential import Credential, tls
from mdm_async.client.probing.endpoint import Endpoint
from mdm_async.client.probing.line import WHO, Line
from mdm_async.client.probing.over_davs import OverDavs
from mdm_async.client.probing.over_https import OverHttps
from mdm_async.client.probing.over_srm import OverSrm
from mdm_async.client.probing.tiny_image import tiny_image
from mdm_async.errors import BadRequest, MdmError, Unreachable, WrongContent

_DICM: Final = slice(128, 132)


class Verdict(IntEnum):
    """As the plugins of monitoring systems tell by their exit codes."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Face(Protocol):
    """A protocol, as far as a probe speaks it. All raise MdmError."""

    async def ping(self) -> str: ...
    async def ls(self, path: str) -> None: ...
    async def put(self, path: str, data: bytes) -> None: ...
    async def get(self, path: str) -> bytes: ...
    async def delete(self, path: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Days of the certificate, seconds of a step."""

    warning_days: float = 14
    critical_days: float = 3
    slow: float | None = None
    timeout: float = 30


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    verdict: Verdict = Verdict.OK
    seconds: float | None = None
    told: str = ""
    """What it found, or why it failed."""


@dataclass
class Probed:
    endpoint: Endpoint
    steps: list[Step] = field(default_factory=list)
    days: float | None = None
    """Of the server's certificate."""

    @property
    def verdict(self) -> Verdict:
        """A failure counts more than what could not be found out."""
        by_weight = (Verdict.CRITICAL, Verdict.WARNING, Verdict.UNKNOWN)
        found = {step.verdict for step in self.steps}
        return next((one for one in by_weight if one in found), Verdict.OK)


async def probe(
    endpoint: Endpoint,
    *,
    directory: str | None = None,
    cert: Path | None = None,
    ca: Path | None = None,
    limits: Thresholds = Thresholds(),
) -> Probed:
    """Certificate, ping and ls, and in `directory` an image put, got and deleted. Raises BadRequest.

    What comes after a server that is not reached is left out.
    """
    if directory is not None and not directory.startswith("/"):
        raise BadRequest(
            "the directory of the round trip is no path from the root", remedy="begin it with '/'"
        )
    credential = Credential.found(cert)
    context = tls(credential, ca) if endpoint.base.scheme == "https" else None
    line = Line(endpoint.base, context, credential)
    face = _face(endpoint, line)
    steps = _Steps(Probed(endpoint), limits)
    if not await steps.certificate(line):
        return steps.probed
    if not await steps.run("ping", face.ping):
        return steps.probed
    if not credential.is_there:
        steps.probed.steps.append(Step("ls", Verdict.UNKNOWN, told=f"no credential to list with; {WHO}"))
        return steps.probed
    await steps.run("ls", lambda: face.ls(endpoint.path))
    if directory is not None:
        await _round_trip(steps, face, f"{directory.rstrip('/')}/mdm-probe-{secrets.token_hex(8)}.dcm")
    return steps.probed


def _face(endpoint: Endpoint, line: Line) -> Face:
    match endpoint.protocol:
        case "https":
            return OverHttps(line)
        case "davs":
            return OverDavs(line)
        case "srm":
            return OverSrm(replace(line, httpg=True), line)


async def _round_trip(steps: "_Steps", face: Face, path: str) -> None:
    """What was put is deleted however the rest went; it is another file than was put, for it is de-identified."""
    if await steps.run("put", lambda: face.put(path, tiny_image())):
        await steps.run("get", lambda: _got(face, path))
        await steps.run("delete", lambda: face.delete(path))
        return
    # It may be there all the same, if only the answer was lost; a monitoring system would leave one each minute.
    with suppress(MdmError, TimeoutError):
        async with asyncio.timeout(steps.limits.timeout):
            await face.delete(path)


async def _got(face: Face, path: str) -> str:
    data = await face.get(path)
    if data[_DICM] != b"DICM":
        raise WrongContent("what was put is not what came back")
    return f"{len(data)} bytes"


@dataclass
class _Steps:
    probed: Probed
    limits: Thresholds

    async def certificate(self, line: Line) -> bool:
        limits = self.limits

        async def look() -> str:
            self.probed.days = days = await line.certificate_days()
            return "none" if days is None else f"{days:.1f} days left"

        if not await self.run("certificate", look):
            return False
        days = self.probed.days
        if days is not None and days < limits.warning_days:
            ends = Verdict.CRITICAL if days < limits.critical_days else Verdict.WARNING
            self.probed.steps[-1] = replace(self.probed.steps[-1], verdict=ends)
        return True

    async def run(self, name: str, work: Callable[[], Awaitable[Any]]) -> bool:
        """Whether it was done, be it slowly."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.limits.timeout):
                told = await work()
        except TimeoutError:
            why: MdmError = Unreachable(f"no answer within {self.limits.timeout:g} s")
        except MdmError as error:
            why = error
        else:
            seconds = time.perf_counter() - began
            slow = self.limits.slow is not None and seconds > self.limits.slow
            verdict = Verdict.WARNING if slow else Verdict.OK
            self.probed.steps.append(Step(name, verdict, seconds, told if isinstance(told, str) else ""))
            return True
        self.probed.steps.append(Step(name, Verdict.CRITICAL, time.perf_counter() - began, str(why)))
        return False
