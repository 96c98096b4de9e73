"""gfal2 over srm://, as far as the wire goes: httpg's byte, the envelope, names."""

from tests.interop.grid_tools import GridTools


async def test_gfal_ls_lists_a_directory(grid_tools: GridTools, place: str) -> None:
    for name in ("plain", "with space", "a+b", "100% sure", "Käse 日本"):
        await grid_tools.server.srm("mkdir", surl=f"{place}/{name}")
    ran = await grid_tools.well("gfal-ls", grid_tools.srm(place))
    assert sorted(ran.out.splitlines()) == sorted(["plain", "with space", "a+b", "100% sure", "Käse 日本"])
    for name in ("with space", "a+b", "100% sure", "Käse 日本"):
        await grid_tools.well("gfal-stat", grid_tools.srm(f"{place}/{name}"))
