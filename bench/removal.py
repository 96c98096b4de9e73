"""How many identifiers survive of those planted in every attribute of the dictionary, whatever a table says of it, and
beside the picture: here and by peers. The files are those of `tests.canary_everywhere` and `tests.canary_in_pixels`;
what must be gone is everything that was planted.
"""

import asyncio
import warnings
from pathlib import Path
from typing import Any

from bench.report import Finding, Target
from bench.survivors import PEERS, Missing, Peer, dcmodify, orthanc, ours
from tests.canary import Canary
from tests.canary_everywhere import everything
from tests.canary_in_pixels import in_pixels

_SEED = 2026
_COLUMNS = ("own VR", "in sequences", "in the pixels")
_OTHERS = (dcmodify, orthanc)
"""The one erases a list of the table's and nothing else is asked of it; the other is measured by `survivors`."""


async def measure(folder: Path) -> Finding:
    """Counts survivors in each kind of file."""
    files = await asyncio.to_thread(everything, _SEED) | in_pixels(_SEED)
    planted = sum(len(one.markers) for one in files.values())
    finding = Finding("removal", f"survivors of {planted:,} identifiers planted in {len(files)} files")
    for name, peer in PEERS.items():
        if peer in _OTHERS:
            continue
        own = folder / name.replace(" ", "-")
        own.mkdir()
        finding.rows.append({"what": name} | await _row(peer, files, own))
    left = next(
        row["survivors"] for row, peer in zip(finding.rows, PEERS.values(), strict=False) if peer is ours
    )
    finding.targets.append(
        Target(
            "no identifier survives in any attribute or beside the picture", f"{left} survivors", left == 0
        )
    )
    return finding


async def _row(peer: Peer, files: dict[str, Canary], folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(("survivors", *_COLUMNS, "lying VR"), 0) | {"remark": ""}
    failed = []
    for number, (kind, planted) in enumerate(files.items()):
        here = folder / str(number)
        here.mkdir()
        source = here / "planted.dcm"
        await asyncio.to_thread(source.write_bytes, planted.data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom has one for each of the thousands of values
                made = peer(source, here)
                data = made if isinstance(made, bytes) else await made
        except (Missing, ImportError) as why:
            return dict.fromkeys(row) | {"remark": f"NOT INSTALLED: {why}"}
        except Exception as why:  # a peer that fails is told of
            failed.append(f"{kind} ({type(why).__name__})")
            continue
        left = len(await asyncio.to_thread(planted.survivors, data))
        column = next((one for one in _COLUMNS if kind.startswith(one)), "lying VR")
        row[column] += left
        row["survivors"] += left
    if failed:
        row["remark"] = f"failed: {', '.join(failed)}"[:70]
    return row
