"""gfal2 brings files online, asks where they are and evicts them by the Tape REST API, over davs://."""

from tests.interop.grid_tools import GridTools
from tests.web.made_images import made

FAILED = "FAILED: [Tape REST API] no such file or directory"


async def test_gfal_stages_polls_and_releases(grid_tools: GridTools, place: str) -> None:
    await grid_tools.server.put(f"{place}/a b.dcm", made(pixels=64))
    await grid_tools.server.put(f"{place}/c+d.dcm", made(pixels=64))
    file, other = grid_tools.davs(f"{place}/a%20b.dcm"), grid_tools.davs(f"/@basic{place}/c+d.dcm")
    missing = grid_tools.davs(f"{place}/gone.dcm")
    batch = grid_tools.home / "surls"
    batch.write_text(f"{file}\n{other}\n{missing}\n")

    staged = await grid_tools.run("gfal-bringonline", "--polling-timeout", "20", "--from-file", str(batch))
    assert f"{file} READY\n" in staged.out, str(staged)
    assert f"{other} READY\n" in staged.out, str(staged)
    assert f"{missing} => {FAILED}" in staged.out, str(staged)

    # Nothing here has been on what is a tape to gfal2.
    asked = await grid_tools.well("gfal-archivepoll", "--from-file", str(batch))
    assert f"{file} QUEUED\n" in asked.out, str(asked)
    assert f"{missing} => {FAILED}" in asked.out, str(asked)
    assert (await grid_tools.well("gfal-xattr", file, "user.status")).out == "ONLINE\n"

    for _ in range(2):
        await grid_tools.well("gfal-evict", file)
