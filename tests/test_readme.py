"""The README's first session and its example in Python are run, as they stand."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pydicom.data

from tests.postgres.for_tests import postgres_folder

ROOT = Path(__file__).parents[1]


def test_the_first_session_runs_as_written() -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    (profile,) = re.findall(r"^```toml\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    mdm = Path(sys.executable).parent / "mdm"
    script = "\n".join(blocks).replace(".venv/bin/mdm", str(mdm))
    until_ready = "until grep -q ready served 2>/dev/null; do kill -0 $!; sleep 0.1; done"
    script = script.replace("serve &\n", f"serve > served &\ntrap 'kill $!; wait' EXIT\n{until_ready}\n", 1)
    with postgres_folder() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
        probe.close()
        shutil.copy(Path(pydicom.data.__file__).parent / "test_files" / "CT_small.dcm", folder / "image.dcm")
        (folder / "cardio.toml").write_text(profile)
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MDM_", "BEARER_"))}
        environment |= {"MDM_SERVER__PORT": port}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert (folder / "out.dcm").read_bytes() == (folder / "sealed.dcm").read_bytes()
        assert "cardio" in (folder / "report.html").read_text()
        assert [pulled.read_bytes() for pulled in (folder / "selected").iterdir()] == [
            (folder / "out.dcm").read_bytes()
        ]
        assert [pulled.read_bytes() for pulled in (folder / "trial").glob("*.dcm")] == [
            (folder / "out.dcm").read_bytes()
        ]
        assert (folder / "start.bin").read_bytes() == (folder / "out.dcm").read_bytes()[:1024]


async def test_the_example_in_python_runs_as_written(server: Any, tmp_path: Path) -> None:
    (example,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len([line for line in example.splitlines() if line]) == 5
    shutil.copy(Path(pydicom.data.__file__).parent / "test_files" / "CT_small.dcm", tmp_path / "image.dcm")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MDM_", "BEARER_"))
    }
    environment |= {"MDM_URL": server.url, "BEARER_TOKEN": server.admin_token, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", example, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"/demo/api/one.dcm YES\n")


def test_every_operation_of_srm_is_named() -> None:
    from mdm_async.web.srm.operations import OPERATIONS

    readme = (ROOT / "README.md").read_text()
    assert [name for name in OPERATIONS if not re.search(rf"\b{name}\b", readme)] == []
