"""The data set of a C-STORE as a file of its own."""

from collections.abc import AsyncIterator

from mdm_async.dicom.encode import preamble_and_meta
from mdm_async.pacs.dimse.commands import Command


async def received_file(
    command: Command, syntax: str, data_set: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """As PS3.10 has it, the data set's own bytes unchanged; `syntax`: in which it comes."""
    meta = preamble_and_meta(command.sop_class.encode(), command.instance.encode(), syntax.encode())
    async for chunk in data_set:
        yield meta + chunk
        meta = b""
