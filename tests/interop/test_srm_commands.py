"""gfal2 over srm://: what its commands do here, and the codes that they end with."""

from pathlib import Path

import pytest

from mdm_async.errors import NoSpace
from mdm_async.images.transfers import upload
from tests.interop.grid_tools import GridTools
from tests.web.made_images import made

ODD = "with space+plus 100% Käse.dcm"
CT, OTHER = made(), made(seed=7)
TURLS = ("-D", "SRM PLUGIN:TURL_PROTOCOLS=https")


@pytest.fixture
def local(tmp_path: Path) -> Path:
    (tmp_path / "a.dcm").write_bytes(CT)
    (tmp_path / "b.dcm").write_bytes(OTHER)
    (tmp_path / "no.dcm").write_bytes(b"not DICOM")
    return tmp_path


@pytest.fixture(autouse=True)
async def closed(grid_tools: GridTools) -> None:
    """Whatever other files of tests opened to strangers on the server that all of them share."""
    rules = [{"principal": "any:anonymous", "rights": "pdrwlxgs"}]
    for surl in ("/", "/grid"):
        body = {"surls": [surl], "permissionType": "REMOVE", "rules": rules}
        await grid_tools.server.srm("setPermission", expect=None, **body)


async def test_a_file_goes_there_and_comes_back(grid_tools: GridTools, place: str, local: Path) -> None:
    surl = grid_tools.srm(f"{place}/x/y/{ODD}")
    await grid_tools.well("gfal-mkdir", "-p", grid_tools.srm(f"{place}/x/y"))
    await grid_tools.well("gfal-copy", f"file://{local}/a.dcm", surl)
    await grid_tools.well("gfal-copy", surl, f"file://{local}/out.dcm")
    served = await grid_tools.server.read(f"{place}/x/y/{ODD}")
    assert (local / "out.dcm").read_bytes() == served
    ran = await grid_tools.run("gfal-copy", f"file://{local}/b.dcm", surl)
    assert (ran.code, "exists" in ran.said) == (17, True), str(ran)
    # Its writer is told the checksum of what was sent.
    await grid_tools.well("gfal-copy", "-f", "-K", "ADLER32", f"file://{local}/b.dcm", surl)
    assert await grid_tools.server.read(f"{place}/x/y/{ODD}") != served
    ran = await grid_tools.well("gfal-cat", "-b", *TURLS, surl)
    assert "DICM" in ran.out
    ran = await grid_tools.well("gfal-ls", grid_tools.srm(f"{place}/x/y"))
    assert ran.out.splitlines() == [ODD]
    await grid_tools.well("gfal-rename", surl, grid_tools.srm(f"{place}/x/new.dcm"))
    await grid_tools.well("gfal-rm", "-r", grid_tools.srm(f"{place}/x"))
    assert (await grid_tools.run("gfal-stat", grid_tools.srm(f"{place}/x"))).code == 2


async def test_what_is_known_of_a_file(grid_tools: GridTools, place: str) -> None:
    await grid_tools.server.put(f"{place}/a.dcm", CT)
    surl, size = grid_tools.srm(f"{place}/a.dcm"), len(await grid_tools.server.read(f"{place}/a.dcm"))
    ran = await grid_tools.well("gfal-stat", surl)
    assert f"Size: {size}" in ran.out, str(ran)
    assert "rwx------" in ran.out, str(ran)
    ran = await grid_tools.well("gfal-xattr", *TURLS, surl)
    for told in ("user.status = ONLINE", "srm.type = mdm_async", 'spacetoken = ["images"]', "/t/"):
        assert told in ran.out, str(ran)
    ran = await grid_tools.well("gfal-xattr", surl, "spacetoken.token?images")
    assert "totalsize" in ran.out.lower(), str(ran)
    sums = {}
    for kind in ("ADLER32", "MD5"):
        sums[kind] = (await grid_tools.well("gfal-sum", surl, kind)).out.split()[-1]
    assert (len(sums["ADLER32"]), len(sums["MD5"])) == (8, 32)
    ran = await grid_tools.well("gfal-bringonline", "--polling-timeout", "60", surl)
    assert "READY" in ran.out


async def test_a_mode_is_set(grid_tools: GridTools, place: str) -> None:
    await grid_tools.well("gfal-chmod", "705", grid_tools.srm(place))
    told = await grid_tools.server.srm("getPermission", surls=[place])
    rules = {rule["principal"]: rule["rights"] for rule in told["files"][0]["rules"]}
    assert set(rules["any:authenticated"]) == set("rlx")
    assert "any:anonymous" not in rules
    assert "i" not in "".join(rules.values())
    ran = await grid_tools.well("gfal-stat", grid_tools.srm(place))
    # Nobody else may traverse what leads here.
    assert "rwx------" in ran.out, str(ran)


async def test_a_failed_upload_leaves_the_name_free(grid_tools: GridTools, place: str, local: Path) -> None:
    surl = grid_tools.srm(f"{place}/a.dcm")
    ran = await grid_tools.run("gfal-copy", f"file://{local}/no.dcm", surl)
    assert ran.code != 0, str(ran)
    assert (await grid_tools.run("gfal-stat", surl)).code == 2
    await grid_tools.well("gfal-copy", f"file://{local}/a.dcm", surl)


async def test_clients_end_with_codes_that_say_why(
    grid_tools: GridTools, place: str, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await grid_tools.server.srm("mkdir", surl=f"{place}/d/e", parents=True)
    rule = {"principal": "any:authenticated", "rights": "lx"}
    await grid_tools.server.srm("mkdir", surl=f"{place}/closed")
    await grid_tools.server.srm(
        "setPermission", surls=[f"{place}/closed"], permissionType="SET", rules=[rule]
    )
    for code, *command in (
        (2, "gfal-ls", f"{place}/none"),
        (2, "gfal-rm", f"{place}/none"),
        (13, "gfal-mkdir", f"{place}/closed/d"),
        (17, "gfal-mkdir", f"{place}/d"),
    ):
        ran = await grid_tools.run(*command[:-1], grid_tools.srm(command[-1]))
        assert ran.code == code, str(ran)

    def full(*_: object, **__: object) -> None:
        raise NoSpace

    monkeypatch.setattr(upload, "target_at", full)
    ran = await grid_tools.run("gfal-copy", f"file://{local}/a.dcm", grid_tools.srm(f"{place}/full.dcm"))
    assert ran.code == 28, str(ran)


async def test_a_path_names_its_view(grid_tools: GridTools, place: str, local: Path) -> None:
    await grid_tools.server.put(f"{place}/a.dcm", CT)
    surl = grid_tools.srm(f"/@basic{place}/a.dcm")
    await grid_tools.well("gfal-copy", "-K", "ADLER32", surl, f"file://{local}/out.dcm")
    assert (local / "out.dcm").read_bytes() == await grid_tools.server.read(f"/@basic{place}/a.dcm")
    ran = await grid_tools.run("gfal-copy", grid_tools.srm(f"/@identified{place}/a.dcm"), f"file://{local}/o")
    # Who lacks `i` is refused, and told so.
    assert ran.code == 13, str(ran)
