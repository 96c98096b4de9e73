"""`mdm ls|stat|mkdir|rm|mv`."""


async def test_a_directory_is_listed_short_long_and_as_json(mdm, server, folder, ct):
    await server.put(f"{folder}/ct.dcm", ct)
    await mdm("mkdir", f"{folder}/sub")
    assert (await mdm("ls", folder)).text.split() == ["ct.dcm", "sub/"]
    file, directory = (await mdm("ls", "-l", folder)).text.splitlines()
    assert "basic:ready" in file
    assert directory.startswith("d ")
    listed = (await mdm("ls", folder, "--json")).json
    assert [entry["type"] for entry in listed] == ["FILE", "DIRECTORY"]
    assert len(listed[0]["adler32"]) == 8


async def test_stat_tells_what_ls_does_and_more(mdm, server, folder, ct):
    line = await server.put(f"{folder}/ct.dcm", ct)
    (entry,) = (await mdm("stat", f"{folder}/ct.dcm", "--json")).json
    assert entry["guid"] == line["guid"]
    assert "guid: " + line["guid"] in (await mdm("stat", f"{folder}/ct.dcm")).text


async def test_mkdir_needs_the_parent_or_p(mdm, folder):
    ended = await mdm("mkdir", f"{folder}/a/b")
    assert ended.code == 3
    assert (await mdm("mkdir", "-p", f"{folder}/a/b")).code == 0
    assert (await mdm("mkdir", "-p", f"{folder}/a/b")).code == 0
    assert (await mdm("mkdir", f"{folder}/a/b")).code == 1


async def test_rm_takes_files_and_with_r_trees(mdm, server, folder, ct):
    await mdm("mkdir", f"{folder}/a")
    await server.put(f"{folder}/a/1.dcm", ct)
    await server.put(f"{folder}/2.dcm", ct)
    refused = await mdm("rm", f"{folder}/a")
    assert refused.code != 0
    assert f"{folder}/a" in refused.err
    assert (await mdm("rm", "-r", f"{folder}/a", f"{folder}/2.dcm")).code == 0
    assert (await mdm("ls", folder)).text == ""


async def test_rm_tells_each_name_that_failed_and_removes_the_rest(mdm, server, folder, ct):
    await server.put(f"{folder}/1.dcm", ct)
    ended = await mdm("rm", f"{folder}/0.dcm", f"{folder}/1.dcm", "--json")
    assert ended.code == 3
    assert "error" in ended.json[0]
    assert ended.json[1] == {"path": f"{folder}/1.dcm"}
    assert (await mdm("ls", folder)).text == ""


async def test_mv_renames_or_moves_into_a_directory(mdm, server, folder, ct):
    await server.put(f"{folder}/1.dcm", ct)
    await mdm("mkdir", f"{folder}/a")
    assert (await mdm("mv", f"{folder}/1.dcm", f"{folder}/2.dcm")).code == 0
    assert (await mdm("mv", f"{folder}/2.dcm", f"{folder}/a", "--json")).json["to"] == f"{folder}/a/2.dcm"
    assert (await mdm("mv", f"{folder}/a/2.dcm", f"{folder}/nothing/")).code == 1


async def test_errors_name_what_was_asked_for(mdm, folder):
    for arguments in (["ls"], ["stat"], ["mv", f"{folder}/x"]):
        ended = await mdm(*arguments[:1], f"{folder}/none", *arguments[1:])
        assert ended.code == 3
        assert ended.err.startswith(f"mdm: {folder}/none: ")
        assert ended.err.count("\n") == 1


async def test_a_guid_is_as_good_as_a_name(mdm, server, folder, ct, tmp_path):
    guid = "guid:" + (await server.put(f"{folder}/ct.dcm", ct))["guid"]
    (entry,) = (await mdm("stat", guid, "--json")).json
    assert entry["path"] == f"{folder}/ct.dcm"
    assert "path: " + f"{folder}/ct.dcm" in (await mdm("stat", guid)).text
    assert (await mdm("get", guid, tmp_path)).code == 0
    assert (tmp_path / "ct.dcm").stat().st_size
    assert (await mdm("mv", guid, f"{folder}/other.dcm")).code == 0
    await mdm("mkdir", f"{folder}/sub")
    assert (await mdm("mv", guid, f"{folder}/sub", "--json")).json["to"] == f"{folder}/sub/other.dcm"
    assert (await mdm("rm", guid)).code == 0
    gone = await mdm("stat", guid)
    assert gone.code == 3
    assert gone.err.startswith(f"mdm: {guid}: ")


async def test_a_long_directory_is_listed_to_its_end(mdm, server, folder):
    async with server.house.database.acquire() as db:
        await db.execute(
            "insert into entries (parent, name, is_directory) select e.id, lpad(n::text, 4, '0'), true"
            " from entries e, generate_series(1, 2500) n where e.name = $1",
            folder[1:],
        )
    listed = (await mdm("ls", folder)).text.split()
    assert listed == [f"{n:04}/" for n in range(1, 2501)]
    assert len((await mdm("ls", folder, "--json")).json) == 2500


async def test_a_put_with_p_makes_its_directories(mdm, folder, ct, tmp_path):
    for name in ("1.dcm", "2.dcm"):
        (tmp_path / name).write_bytes(ct)
    one, two = tmp_path / "1.dcm", tmp_path / "2.dcm"
    assert (await mdm("put", one, f"{folder}/a/b/c.dcm")).code != 0
    assert (await mdm("put", "-p", one, f"{folder}/a/b/c.dcm")).code == 0
    assert (await mdm("put", one, two, f"{folder}/d/e")).code == 1
    assert (await mdm("put", "--parents", one, two, f"{folder}/d/e")).code == 0
    assert (await mdm("ls", f"{folder}/d/e")).text.split() == ["1.dcm", "2.dcm"]
