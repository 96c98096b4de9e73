"""dcmtk's archive, on a port of its own: it knows no REST, and is stored to by storescu."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import CI
from tests.faults.conditions import until

TITLE = "DCMQRSCP"


def demand(program: str) -> str:
    """Where it is. A test that lacks it is skipped, and fails where everything must be there."""
    found = shutil.which(program)
    if found is None and CI:
        pytest.fail(f"{program} is missing: tests/install-peers dcmtk")
    if found is None:
        pytest.skip(f"PEERS MISSING: {program} (as root: tests/install-peers dcmtk)")
    return found


@dataclass(frozen=True)
class Dcmqrscp:
    folder: Path
    port: int

    async def store(self, images: Sequence[bytes]) -> None:
        sent = self.folder / "sent"
        sent.mkdir(exist_ok=True)
        for image in images:
            (sent / os.urandom(4).hex()).write_bytes(image)
        process = await asyncio.create_subprocess_exec(
            demand("storescu"), "-R", "-aec", TITLE, "+sd", "127.0.0.1", str(self.port), str(sent),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        assert process.returncode == 0, said

    async def listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


@asynccontextmanager
async def running_dcmqrscp(folder: Path, port: int, moves_to: Mapping[str, int]) -> AsyncIterator[Dcmqrscp]:
    """`moves_to`: ports of this machine, by AE title. Ended at the end."""
    held = folder / "dcmqrscp"
    held.mkdir()
    hosts = "\n".join(
        f"h{number} = ({ae}, 127.0.0.1, {at})" for number, (ae, at) in enumerate(moves_to.items())
    )
    (folder / "dcmqrscp.cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\n{hosts}\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{TITLE} {held} RW (200, 1024mb) ANY\nAETable END\n"
    )
    with (folder / "dcmqrscp.log").open("ab") as log:
        # By itself in one process it crashes after an association.
        process = await asyncio.create_subprocess_exec(
            demand("dcmqrscp"), "-v", "-c", str(folder / "dcmqrscp.cfg"),
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    archive = Dcmqrscp(folder, port)
    try:
        await until(archive.listens)
        yield archive
    finally:
        # With those that serve an association each.
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
