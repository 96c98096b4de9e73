"""Digests as the grid's programs ask for them."""

import hashlib
import zlib

from tests.interop.grid_tools import GridTools
from tests.web.made_images import made


async def test_gfal_sum_of_a_transfer_url(grid_tools: GridTools, place: str) -> None:
    server, surl = grid_tools.server, f"{place}/a.dcm"
    await server.put(surl, made(pixels=70_000))
    url = (await server.prepare(surl))["transferURL"].replace(server.url, grid_tools.https(""))
    body = await server.read(surl)
    for algorithm, digest in (
        ("MD5", hashlib.md5(body).hexdigest()),
        ("ADLER32", f"{zlib.adler32(body):08x}"),
    ):
        ran = await grid_tools.well("gfal-sum", url, algorithm)
        assert ran.out.split()[-1] == digest, str(ran)
