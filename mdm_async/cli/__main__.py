"""`python -m mdm_async.cli` is `mdm`."""

from mdm_async.cli.main import run

run()
