"""What de-identification costs: CPU per head beside peers, and a head of 20,000 frames."""

import asyncio
import io
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import orjson
import pydicom

from bench.enhanced import KEY, NO_PIXELS
from bench.heads import enhanced, typical_ct
from bench.report import Finding, Target
from bench.scale import Scale
from mdm_async.dicom.elements import EXPLICIT_LITTLE, Encoding
from mdm_async.dicom.filemeta import MetaReader
from mdm_async.dicom.profile import OPTIONS, Profile, basic
from mdm_async.dicom.scrub import scrub
from mdm_async.dicom.walking import items, walk
from tests.canary_fates import FULL_DATES
from tests.canary_planter import attributes

Work = Callable[[], object]
_BATCH_SECONDS = 0.05
"""CPU of one batch of repetitions at least, so that the clock's steps do not count."""
_PER_HEAD, _LARGE_SECONDS, _LARGE_MIB, _LAG = 1.0, 2.0, 64.0, 10.0


async def measure(scale: Scale, folder: Path) -> Finding:
    """CPU milliseconds of the process for each head; rounds of all are interleaved."""
    head = typical_ct()
    elements = sum(1 for _ in pydicom.dcmread(io.BytesIO(head)).iterall())
    finding = Finding("scrubbing", f"CPU (ms) to de-identify a CT head of {elements} elements")
    works, missing = await asyncio.to_thread(_works, head, folder)
    times = await asyncio.to_thread(_times, works, 5 * scale.rounds)
    reference = statistics.median(times["mdm_async"])
    for name in (*works, *missing):
        one = times.get(name)
        finding.rows.append(
            {
                "what": name,
                "median": statistics.median(one) if one else None,
                "least": min(one) if one else None,
                "times ours": statistics.median(one) / reference if one else None,
                "remark": missing.get(name, ""),
            }
        )
    finding.targets.append(
        Target(f"a CT head in {_PER_HEAD:g} ms of CPU", f"{reference:.2f} ms", reference <= _PER_HEAD)
    )
    await _large(finding, folder)
    return finding


async def _large(finding: Finding, folder: Path) -> None:
    head = await asyncio.to_thread(enhanced)
    path = folder / "enhanced"
    await asyncio.to_thread(path.write_bytes, head)
    cost = await _in_a_fresh_process("cost", path)
    lag = await _in_a_fresh_process("lag", path)
    size = f"{len(head) / (1 << 20):.1f} MiB, 20,000 frames"
    finding.targets += [
        Target(
            f"a head of {size} in {_LARGE_SECONDS:g} s of CPU",
            f"{cost['seconds']:.2f} s",
            cost["seconds"] <= _LARGE_SECONDS,
        ),
        Target(f"and {_LARGE_MIB:g} MiB", f"{cost['MiB']:.0f} MiB", cost["MiB"] <= _LARGE_MIB),
        Target(
            f"the event loop waits less than {_LAG:g} ms meanwhile",
            f"{lag['busy']:.1f} ms, at most {lag['most']:.1f} ms ({lag['idle']:.1f} ms when idle)",
            lag["busy"] < _LAG,
        ),
    ]


async def _in_a_fresh_process(what: str, path: Path) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.enhanced", what, str(path)), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    found: dict[str, float] = orjson.loads(said)
    return found


def _times(works: dict[str, Work], rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds of one call, by round; slow ones are called less often."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        repeat = {name: max(1, int(_BATCH_SECONDS / _timed(work, 1))) for name, work in works.items()}
        found: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, work in works.items():
                found[name].append(_timed(work, repeat[name]) * 1000)
    return found


def _timed(work: Work, repeat: int) -> float:
    started = time.process_time()
    for _ in range(repeat):
        work()
    return (time.process_time() - started) / repeat


def _works(head: bytes, folder: Path) -> tuple[dict[str, Work], dict[str, str]]:
    """What is compared, each called once already; and what is not installed."""
    options = frozenset(OPTIONS) - {FULL_DATES}
    every = Profile("bench", options=options)
    works: dict[str, Work] = {
        "mdm_async": lambda: scrub(head, b"", profile=basic(), key=KEY, pixels=NO_PIXELS),
        "mdm_async, all options": lambda: scrub(head, b"", profile=every, key=KEY, pixels=NO_PIXELS),
        "a bare walk over encoded elements": lambda: _walked(head),
        "pydicom: read, delete, write": lambda: _deleted(head),
    }
    missing = {}
    path = folder / "head.dcm"
    path.write_bytes(head)
    for name, make in {"dicom-anonymizer": _dicom_anonymizer, "dicognito": _dicognito, "deid": _deid}.items():
        try:
            works[name] = make(path)
        except ImportError as why:
            missing[name] = f"NOT INSTALLED: {why}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for work in works.values():
            work()
    return works, missing


def _walked(head: bytes) -> int:
    meta = MetaReader()
    meta.feed(head)
    return _count(head, meta.end, len(head), EXPLICIT_LITTLE)


def _count(data: bytes, at: int, end: int, encoding: Encoding) -> int:
    count = 0
    for element in walk(data, at, end, encoding):
        count += 1
        if element.vr == b"SQ":
            count += sum(_count(data, *item) for item in items(data, element, encoding))
    return count


def _deleted(head: bytes) -> bytes:
    data = pydicom.dcmread(io.BytesIO(head))
    data.remove_private_tags()
    for tag in attributes():
        if tag in data:
            del data[tag]
    return _written(data)


def _written(data: pydicom.Dataset) -> bytes:
    out = io.BytesIO()
    data.save_as(out)
    return out.getvalue()


def _dicom_anonymizer(path: Path) -> Work:
    from dicomanonymizer import anonymize_dataset

    def anonymize() -> bytes:
        data = pydicom.dcmread(path)
        anonymize_dataset(data)
        return _written(data)

    return anonymize


def _dicognito(path: Path) -> Work:
    from dicognito.anonymizer import Anonymizer

    anonymizer = Anonymizer()

    def anonymize() -> bytes:
        data = pydicom.dcmread(path)
        anonymizer.anonymize(data)
        return _written(data)

    return anonymize


def _deid(path: Path) -> Work:
    from deid.config import DeidRecipe
    from deid.dicom import replace_identifiers

    recipe = DeidRecipe()
    return lambda: _written(replace_identifiers([str(path)], deid=recipe, save=False, remove_private=True)[0])
