"""The threads that encrypt, decrypt and read headers: as many as there are cores for it, and no others."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mdm_async.held import may_wait

T = TypeVar("T")


class CipherPool(ThreadPoolExecutor):
    """A bounded pool; `run` waits for one job without holding the event loop."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads, "cipher")

    async def run(self, job: Callable[[], T]) -> T:
        may_wait("a job on the cipher pool")
        return await asyncio.get_running_loop().run_in_executor(self, job)
