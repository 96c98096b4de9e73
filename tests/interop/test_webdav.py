"""The web's and the grid's programs over WebDAV, unmodified."""

from tests.interop.grid_tools import GridTools
from tests.web.made_images import made


async def test_gfal_over_davs(grid_tools: GridTools, place: str) -> None:
    tools, davs = grid_tools, grid_tools.davs
    local = tools.home / "davs.dcm"
    local.write_bytes(made())
    await tools.well("gfal-mkdir", "-p", davs(f"{place}/x/y"))
    await tools.well("gfal-copy", "-K", "ADLER32", f"file://{local}", davs(f"{place}/x/a.dcm"))
    await tools.well("gfal-copy", "-f", f"file://{local}", davs(f"{place}/x/a.dcm"))
    listed = (await tools.well("gfal-ls", "-l", davs(f"{place}/x"))).out.splitlines()
    # It may ask for a macaroon first, to read alone, and the modes are those of whoever shows that.
    assert [line.split()[0].replace("w", "-") for line in listed] == ["-r-x------", "dr-x------"]
    assert [line.split()[-1] for line in listed] == ["a.dcm", "y"]
    view = await tools.server.read(f"{place}/x/a.dcm")
    await tools.well("gfal-copy", davs(f"/@basic{place}/x/a.dcm"), f"file://{tools.home}/davs-back.dcm")
    assert (tools.home / "davs-back.dcm").read_bytes() == view
    await tools.well("gfal-rename", davs(f"{place}/x/a.dcm"), davs(f"{place}/x/b c+d.dcm"))
    assert "b%20c+d.dcm" in (await tools.well("gfal-ls", davs(f"{place}/x"))).out
    await tools.well("gfal-rm", "-r", davs(f"{place}/x"))
    gone = await tools.run("gfal-stat", davs(f"{place}/x"))
    assert gone.code == 2, str(gone)


async def test_davix(grid_tools: GridTools, place: str) -> None:
    tools = grid_tools
    shown = ("-E", str(tools.proxy), "--capath", str(tools.grid.authorities))
    local, back = tools.home / "davix.dcm", tools.home / "davix-back.dcm"
    local.write_bytes(made())
    await tools.well("davix-mkdir", *shown, tools.davs(f"{place}/d"))
    await tools.well("davix-put", *shown, str(local), tools.davs(f"{place}/d/a.dcm"))
    assert "a.dcm" in (await tools.well("davix-ls", *shown, tools.davs(f"{place}/d"))).out
    # It ends with 255 whatever the server answers; what it did is looked at.
    await tools.run("davix-mv", *shown, tools.davs(f"{place}/d/a.dcm"), tools.davs(f"{place}/d/b.dcm"))
    await tools.well("davix-get", *shown, tools.davs(f"{place}/d/b.dcm"), str(back))
    assert back.read_bytes() == await tools.server.read(f"{place}/d/b.dcm")
    await tools.well("davix-rm", *shown, tools.davs(f"{place}/d/b.dcm"))
    await tools.well("davix-rm", *shown, "-r", "1", tools.davs(f"{place}/d"))


async def test_rclone(grid_tools: GridTools, place: str) -> None:
    tools = grid_tools
    token = await tools.server.token("pdrwlxgs", place)
    authority = next(tools.grid.authorities.glob("*.0"))
    remote = (
        *("--config", "/dev/null", "--retries", "1", "--ignore-size", "--ca-cert", str(authority)),
        *("--webdav-url", tools.https(f"/dav{place}"), "--webdav-bearer-token", token),
    )
    local = tools.home / "rclone"
    (local / "sub dir").mkdir(parents=True)
    names = ["a+b%c.dcm", "sub dir/ü.dcm"]
    for number, name in enumerate(names):
        (local / name).write_bytes(made(seed=number))
    await tools.well("rclone", "copy", str(local), ":webdav:r", *remote)
    await tools.well("rclone", "copyto", ":webdav:r/a+b%c.dcm", ":webdav:r/copied.dcm", *remote)
    await tools.well("rclone", "move", ":webdav:r", ":webdav:moved", *remote)
    listed = (await tools.well("rclone", "lsf", "-R", "--files-only", ":webdav:moved", *remote)).out
    assert sorted(listed.splitlines()) == sorted([*names, "copied.dcm"])
    await tools.well("rclone", "copy", ":webdav:moved", str(tools.home / "rclone-back"), *remote)
    for name in names:
        assert (tools.home / "rclone-back" / name).read_bytes() == await tools.server.read(
            f"{place}/moved/{name}"
        )
    await tools.well("rclone", "purge", ":webdav:moved", *remote)
    assert (await tools.well("rclone", "lsf", ":webdav:", *remote)).out == ""


async def test_curl_and_cadaver(grid_tools: GridTools, place: str) -> None:
    """Cadaver shows no bearer token, and trusts no authority but the system's: it comes by the loopback, as nobody."""
    tools = grid_tools
    for surl, rights in (("/", "x"), ("/grid", "x"), (place, "drwlxg")):
        rule = {"principal": "any:anonymous", "rights": rights}
        await tools.server.srm("setPermission", surls=[surl], permissionType="ADD", rules=[rule])
    local, back = tools.home / "cadaver.dcm", tools.home / "cadaver-back.dcm"
    local.write_bytes(made())
    shown = ("-sS", "--capath", str(tools.grid.authorities), "--cert", str(tools.proxy))
    sent = await tools.well(
        "curl", *shown, "-T", str(local), "-w", "%{http_code}", tools.https(f"/dav{place}/a.dcm")
    )
    assert sent.out == "201"
    lines = (
        "ls", "mkcol c", f"put {local} c/x.dcm", "move c/x.dcm c/y.dcm", "copy c/y.dcm c/z.dcm", "ls c",
        f"get c/z.dcm {back}", "delete c/y.dcm", "rmcol c", "ls", "quit",
    )  # fmt: skip
    url = f"http://127.0.0.1:{tools.server.house.port}/dav{place}/"
    said = (await tools.well("cadaver", url, stdin="\n".join(lines).encode())).out
    assert "failed" not in said, said
    assert "z.dcm" in said
    assert back.read_bytes() == await tools.server.read(f"{place}/a.dcm")
    (listed,) = (await tools.server.srm("ls", surls=[place]))["files"]
    assert [one["path"] for one in listed["subPaths"]] == [f"{place}/a.dcm"]
