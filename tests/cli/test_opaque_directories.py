"""`mdm dir`: directories that take files which are not DICOM."""


async def test_a_directory_takes_opaque_files_until_one_below_does_not(mdm, folder, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_bytes(b"results of the night")
    assert (await mdm("dir", "get", folder)).text == "opaque: no by default\n"
    assert (await mdm("put", notes, folder)).code != 0
    changed = await mdm("dir", "set", folder, "--opaque")
    assert changed.text == f"opaque: yes by {folder}\n", changed.err
    assert (await mdm("put", notes, folder)).code == 0
    assert (await mdm("get", f"{folder}/notes.txt", tmp_path / "again.txt")).code == 0
    assert (tmp_path / "again.txt").read_bytes() == notes.read_bytes()
    await mdm("mkdir", f"{folder}/strict")
    assert (await mdm("dir", "get", f"{folder}/strict", "--json")).json["from"]["path"] == folder
    await mdm("dir", "set", f"{folder}/strict", "--no-opaque")
    assert (await mdm("put", notes, f"{folder}/strict")).code != 0
    back = await mdm("dir", "set", f"{folder}/strict", "--inherit")
    assert back.text == f"opaque: yes by {folder}\n"


async def test_one_thing_is_said_of_a_directory(mdm, folder):
    for said in ((), ("--opaque", "--inherit")):
        refused = await mdm("dir", "set", folder, *said)
        assert refused.code == 2
        assert "--no-opaque" in refused.err
