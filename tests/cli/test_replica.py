"""`mdm replica add|list|remove|master`."""

A, B = "https://se.example.org/a", "root://se.example.org//b"


async def test_replicas_come_and_go(mdm, server, folder, ct):
    file = f"{folder}/ct.dcm"
    await server.put(file, ct)
    assert (await mdm("replica", "add", file, A, B)).code == 0
    assert (await mdm("replica", "master", file, B)).code == 0
    assert (await mdm("replica", "list", file)).text.splitlines() == [
        f"{file}    basic  {A}",
        f"{file}  * basic  {B}",
    ]
    (listed,) = (await mdm("replica", "list", file, "--json")).json
    assert [(one["url"], one["master"]) for one in listed["replicas"]] == [(A, False), (B, True)]
    assert (await mdm("replica", "master", file, "--json")).json == {"path": file, "url": None}
    assert (await mdm("replica", "remove", file, A, B)).code == 0
    assert (await mdm("replica", "list", file)).text == ""


async def test_each_url_that_failed_is_told_of(mdm, server, folder, ct):
    file = f"{folder}/ct.dcm"
    await server.put(file, ct)
    ended = await mdm("replica", "add", file, "https://user:secret@se.example.org/a", B, "--json")
    assert ended.code == 2
    assert "secret" not in ended.err
    assert "error" in ended.json[0]
    assert ended.json[1] == {"path": file, "url": B}
    assert (await mdm("replica", "remove", file, A)).code == 3
    assert (await mdm("replica", "list", f"{folder}/none")).code == 3
