"""`mdm keys`."""


async def test_the_status_tells_what_is_wrapped_under_which_key(mdm):
    found = (await mdm("keys", "status", "--json")).json
    (store,) = found["stores"]
    assert (found["threshold"], store["alive"]) == (1, True)
    (epoch,) = store["epochs"]
    assert (epoch["number"], epoch["inUse"], epoch["here"]) == (1, True, True)
    assert epoch["rows"] > 0
    ended = await mdm("keys", "status")
    assert ended.code == 0
    assert "1 of 1 stores alive" in ended.text
    assert "in use" in ended.text


async def test_only_administrators_are_told_of_keys(mdm, server, environment):
    environment.setenv("BEARER_TOKEN", await server.token("rlgi"))
    ended = await mdm("keys", "status", "--json")
    assert (ended.code, ended.json["error"]["code"]) == (13, "SRM_AUTHORIZATION_FAILURE")
