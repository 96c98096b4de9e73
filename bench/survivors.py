"""How many identifiers survive de-identification, of thousands that were planted in one CT: here and by peers.

The file is `tests.canary`'s: something of its own in every attribute that PS3.15 Table E.1-1 names, at depths 0, 1 and
3, in private blocks, reports, overlays, curves, the icon, after the pixels, in the file meta and the preamble. Each
peer does what its own documentation calls de-identifying, with its own rules.
"""

import asyncio
import io
import shutil
import subprocess
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pydicom

from bench.orthanc import executable, running_orthanc
from bench.report import Finding, Target
from mdm_async.dicom.profile import OPTIONS, Profile, basic
from tests.canary import Canary, canary
from tests.canary_fates import FULL_DATES, Fate, fate
from tests.canary_planter import attributes
from tests.pipeline import deidentified

Peer = Callable[[Path, Path], bytes | Awaitable[bytes]]
_SEED = 2025
_SECONDS = 300


class Missing(Exception):
    """A peer is not installed; str(self) says how to get it."""


async def measure(folder: Path, *, with_orthanc: bool) -> Finding:
    """Counts what is left of what the basic profile wants gone."""
    planted = canary(_SEED, plain=True)
    identifying = [marker for marker in planted.markers if fate(marker, ()) is Fate.GONE]
    source = folder / "planted.dcm"
    await asyncio.to_thread(source.write_bytes, planted.data)
    finding = Finding("survivors", f"survivors of {len(identifying)} identifiers planted in one CT")
    counted = Canary(planted.data, identifying)
    for name, peer in PEERS.items():
        if peer is orthanc and not with_orthanc:
            continue
        own = folder / name.replace(" ", "-").replace(",", "")
        own.mkdir()
        finding.rows.append({"what": name} | await _row(peer, source, own, counted))
    ours = finding.rows[0]["survivors"]
    finding.targets.append(Target("no identifier survives", f"{ours} survivors", ours == 0))
    options = {name: left for name, left in _with_options(planted).items() if left}
    finding.targets.append(
        Target("nor with any option one that it does not allow", f"{options or 'none'}", not options)
    )
    return finding


async def _row(peer: Peer, source: Path, folder: Path, planted: Canary) -> dict[str, int | str | None]:
    try:
        made = peer(source, folder)
        data = made if isinstance(made, bytes) else await made
    except (Missing, ImportError) as why:
        return _cells(f"NOT INSTALLED: {why}", None)
    except Exception as why:  # a peer that fails is a row, too
        return _cells(f"failed: {type(why).__name__}: {str(why)[:60]}", None)
    left = planted.survivors(data)
    return _cells("", left)


def _cells(remark: str, left: list | None) -> dict[str, int | str | None]:  # type: ignore[type-arg]
    if left is None:
        return dict.fromkeys(("survivors", "top level", "nested", "elsewhere")) | {"remark": remark}
    where = Counter("top level" if len(m.path) == 1 else "nested" if m.path else "elsewhere" for m in left)
    meta = sum(len(m.path) == 1 and m.path[0] >> 16 == 2 for m in left)
    return {
        "survivors": len(left),
        "top level": where["top level"] - meta,
        "nested": where["nested"],
        "elsewhere": where["elsewhere"] + meta,
        "remark": remark,
    }


def _with_options(planted: Canary) -> dict[str, int]:
    """Survivors beyond what each option, and all of them at once, let through."""
    chosen = {name: (name,) for name in OPTIONS}
    chosen["all options"] = tuple(name for name in OPTIONS if name != FULL_DATES)
    left = {}
    for name, options in chosen.items():
        made = deidentified(planted.data, Profile("bench", options=frozenset(options)))
        left[name] = sum(fate(marker, options) is Fate.GONE for marker in planted.survivors(made))
    return left


def ours(source: Path, _: Path) -> bytes:
    return deidentified(source.read_bytes(), basic())


def dicom_anonymizer(source: Path, _: Path) -> bytes:
    from dicomanonymizer import anonymize_dataset

    return _through_pydicom(source, anonymize_dataset)


def dicognito(source: Path, _: Path) -> bytes:
    from dicognito.anonymizer import Anonymizer

    return _through_pydicom(source, Anonymizer().anonymize)


def deid(source: Path, folder: Path) -> bytes:
    from deid.config import DeidRecipe
    from deid.dicom import replace_identifiers

    (found,) = replace_identifiers([str(source)], deid=DeidRecipe(), save=False, remove_private=True)
    out = io.BytesIO()
    found.save_as(out)
    return out.getvalue()


def _through_pydicom(source: Path, anonymize: Callable[[pydicom.Dataset], object]) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(source)
        anonymize(data)
        out = io.BytesIO()
        data.save_as(out)
        return out.getvalue()


def dcmodify(source: Path, folder: Path) -> bytes:
    """Every attribute of the table erased at every depth, and private ones: also those an image cannot be without."""
    made = folder / "made.dcm"
    shutil.copy(source, made)
    tags = [f"({tag >> 16:04x},{tag & 0xFFFF:04x})" for tag in attributes()]
    erase = [word for tag in tags for word in ("-ea", tag)]
    _run("dcmodify", "dcmtk", "-nb", "-imt", "-ie", "-ep", *erase, str(made))
    return made.read_bytes()


def gdcmanon(source: Path, folder: Path) -> bytes:
    """Its basic profile, which seals what it replaces for the holder of a certificate."""
    key, certificate, made = (folder / name for name in ("key.pem", "cert.pem", "made.dcm"))
    _run(
        *("openssl", "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
        *("-subj", "/CN=bench", "-keyout", str(key), "-out", str(certificate)),
    )
    _run("gdcmanon", "libgdcm-tools", "-e", "-c", str(certificate), "-i", str(source), "-o", str(made))
    return made.read_bytes()


def _run(program: str, package: str, *arguments: str) -> None:
    if not shutil.which(program):
        raise Missing(f"apt-get install {package}")
    subprocess.run([program, *arguments], capture_output=True, timeout=_SECONDS, check=False)


async def orthanc(source: Path, folder: Path) -> bytes:
    """Its POST /instances/{id}/anonymize."""
    if executable() is None:
        raise Missing("apt-get install orthanc")
    async with running_orthanc(folder) as server, aiohttp.ClientSession(server.url) as http:
        data = await asyncio.to_thread(source.read_bytes)
        async with http.post("/instances", data=data) as answer:
            answer.raise_for_status()
            stored = await answer.json()
        async with http.post(f"/instances/{stored['ID']}/anonymize", data=b"{}") as answer:
            answer.raise_for_status()
            return await answer.read()


PEERS: dict[str, Peer] = {
    "mdm_async": ours,
    "dcmodify, the table's list": dcmodify,
    "Orthanc": orthanc,
    "deid": deid,
    "dicognito": dicognito,
    "dicom-anonymizer": dicom_anonymizer,
    "gdcmanon": gdcmanon,
}
