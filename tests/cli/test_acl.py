"""`mdm acl`, `mdm delivery`, `mdm recipient`."""

import os

import orjson
import pytest

from mdm_async.cli.rights.acl_rule import parse_removal, parse_rule, read_rules
from mdm_async.errors import BadRequest, MdmError
from mdm_async.rules import Rule

# Rules on a command line


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("user:a=lr", Rule("user:a", "rl", None)),
        ("user:a@b=r@cardio,basic", Rule("user:a@b", "r", ("basic", "cardio"))),
        ("dn:/C=DE/CN=Ada=rlx", Rule("dn:/C=DE/CN=Ada", "rlx", None)),
        (
            "dn:/C=DE/CN=host/a.example=ri@identified",
            Rule("dn:/C=DE/CN=host/a.example", "ri", ("identified",)),
        ),
        ("fqan:/vo/g/Role=r=x", Rule("fqan:/vo/g/Role=r", "x", None)),
        ("sub:https://issuer.example#a=b=w", Rule("sub:https://issuer.example#a=b", "w", None)),
        ("any:anonymous=r@*", Rule("any:anonymous", "r", ("*",))),
    ],
)
def test_a_rule_is_a_principal_and_rights(text, rule):
    assert parse_rule(text) == rule
    assert parse_removal(text) == rule


@pytest.mark.parametrize(
    ("text", "principal"),
    [
        ("user:a", "user:a"),
        ("dn:/C=DE/CN=pig", "dn:/C=DE/CN=pig"),
        ("dn:/C=DE/CN=Ada=", "dn:/C=DE/CN=Ada"),
        ("fqan:/vo/g", "fqan:/vo/g"),
    ],
)
def test_a_removal_needs_no_rights(text, principal):
    assert parse_removal(text) == Rule(principal, "", None)
    with pytest.raises(BadRequest):
        parse_rule(text)


@pytest.mark.parametrize(
    "text", ["", "=r", "a=r", "user:a=", "user:a=q", "user:a=l@basic", "user:a=r@", "user:a=r@A"]
)
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(BadRequest):
        parse_rule(text)


@pytest.mark.parametrize(
    "content",
    [
        '[{"principal": "user:a", "rights": "rl"}, "user:b=r@basic"]',
        '{"path": "/x", "rules": [{"principal": "user:a", "rights": "lr"}, '
        '{"principal": "user:b", "rights": "r", "views": ["basic"]}]}',
        'rules = ["user:a=rl", "user:b=r@basic"]',
        '[[rules]]\nprincipal = "user:a"\nrights = "rl"\n'
        '[[rules]]\nprincipal = "user:b"\nrights = "r"\nviews = ["basic"]',
    ],
)
def test_rules_are_read_from_json_and_toml(tmp_path, content):
    (tmp_path / "acl").write_text(content)
    assert read_rules(tmp_path / "acl") == (Rule("user:a", "rl"), Rule("user:b", "r", ("basic",)))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "neither",
        '"user:a=r"',
        "{}",
        "[1]",
        '[{"principal": "user:a"}]',
        '[{"principal": "user:a", "rights": ""}]',
        '[{"principal": "user:a", "rights": "r", "views": "basic"}]',
        '[{"principal": "user:a", "rights": "r", "more": 1}]',
        '[{"principal": "user:a", "rights": "q"}]',
        "[" * 100_000,
        "rules = " + "[" * 10_000,
    ],
)
def test_a_file_without_rules_is_refused(tmp_path, content):
    (tmp_path / "acl").write_text(content)
    with pytest.raises(BadRequest):
        read_rules(tmp_path / "acl")
    with pytest.raises(MdmError):
        read_rules(tmp_path / "none")


# With a server


@pytest.fixture
async def reader(server) -> str:
    name = f"r{os.urandom(4).hex()}"
    await server.token("", name=name)
    return f"user:{name}"


async def test_rights_are_given_shown_and_taken(mdm, folder, reader):
    given = await mdm("acl", "set", folder, "--add", f"{reader}=rlx@basic", "--add", "fqan:/vo=l")
    assert (given.code, given.text) == (0, f"{folder}: 1 changed\n"), given.err
    shown = await mdm("acl", "get", folder)
    assert shown.text.splitlines() == [f"{folder}: its own", "  fqan:/vo=l", f"  {reader}=rlx@basic"]
    changed = await mdm("acl", "set", folder, "--remove", f"{reader}=l", "--replace", "fqan:/vo=g", "--json")
    assert changed.json == [{"path": folder, "changed": 1, "left": 0}]
    told = (await mdm("acl", "get", folder, "--json")).json[0]
    assert told["rules"] == [
        {"principal": "fqan:/vo", "rights": "g"},
        {"principal": reader, "rights": "rx", "views": ["basic"]},
    ]
    await mdm("acl", "set", folder, "--remove", reader)
    assert reader not in (await mdm("acl", "get", folder)).text


async def test_a_view_that_no_profile_makes_is_warned_of(mdm, folder):
    ended = await mdm("acl", "set", folder, "--add", "user:a=r@reserch,basic", "--add", "user:b=r@*")
    assert ended.code == 0
    assert "warning: no profile makes the view 'reserch'" in ended.err
    assert len(ended.err.splitlines()) == 1
    ended = await mdm("acl", "set", folder, "--remove", "user:a=r@reserch", "--add", "user:a=r@basic")
    assert ended.err == ""


async def test_what_was_shown_as_json_can_be_set_again(mdm, folder, tmp_path):
    await mdm("acl", "set", folder, "--add", "user:a=rl", "--add", "user:b=r@basic")
    before = (await mdm("acl", "get", folder, "--json")).json[0]
    (tmp_path / "acl.json").write_bytes(orjson.dumps(before))
    await mdm("acl", "set", folder, "--replace", "user:a=w", "--remove", "user:b")
    assert (await mdm("acl", "set", folder, "--file", tmp_path / "acl.json")).code == 0
    assert (await mdm("acl", "get", folder, "--json")).json[0]["rules"] == before["rules"]


async def test_what_is_below_inherits_and_may_be_changed_with_it(mdm, folder):
    await mdm("mkdir", f"{folder}/below")
    await mdm("acl", "set", folder, "--add", "user:a=rl")
    await mdm("acl", "set", folder, "--add", "user:b=l", "--default")
    shown = (await mdm("acl", "get", f"{folder}/below")).text
    assert shown.splitlines()[0] == f"{folder}/below: inherited from {folder}"
    assert "  user:b=l" in shown
    assert "handed down to what is below:" in (await mdm("acl", "get", folder)).text
    await mdm("acl", "set", f"{folder}/below", "--add", "user:c=l")
    changed = await mdm("acl", "set", folder, "--recursive", "--remove", "user:a", "--remove", "user:b")
    assert changed.text == f"{folder}: 2 changed\n"
    assert (await mdm("acl", "set", f"{folder}/below", "--inherit")).code == 0
    assert (await mdm("acl", "get", f"{folder}/below", "--json")).json[0]["inherited"] is True


async def test_effective_rights_are_explained(mdm, folder):
    await mdm("acl", "set", folder, "--add", "fqan:/vo=rl")
    shown = await mdm("acl", "get", folder, "--principal", "user:a", "--principal", "fqan:/vo")
    assert "effective rights: none" in shown.text
    assert "no 'x' at /: nothing below it counts" in shown.text
    root = (await mdm("acl", "get", "/", "--principal", "user:a", "--json")).json[0]
    assert root["effective"] == {"permission": "", "given": [], "blocked": False}


async def test_one_failing_name_fails_no_other(mdm, folder):
    ended = await mdm("acl", "set", f"{folder}/none", folder, "--add", "user:a=l", "--json")
    assert ended.code == 3
    assert f"{folder}/none: no such file or directory" in ended.err
    assert [one.get("changed") for one in ended.json] == [None, 1]


async def test_nothing_to_change_is_an_error(mdm, folder):
    assert (await mdm("acl", "set", folder)).code == 2
    assert (await mdm("acl", "set", folder, "--inherit", "--add", "user:a=l")).code == 2
    assert (await mdm("acl", "set", folder, "--add", "nobody")).code == 2


async def test_a_delivery_policy_is_set_and_shown(mdm, folder):
    shown = await mdm("delivery", "get", folder)
    assert shown.text.splitlines() == [
        "  identified: sealed by the server's settings",
        "deidentified: clear  by the server's settings",
    ]
    changed = await mdm("delivery", "set", folder, "--deidentified", "sealed")
    assert changed.text.splitlines()[1] == f"deidentified: sealed by {folder}"
    told = (await mdm("delivery", "get", folder, "--json")).json
    assert told["deidentified"]["delivery"] == "sealed"
    assert (await mdm("delivery", "set", folder)).code == 2
    assert (await mdm("delivery", "set", f"{folder}/none", "--identified", "sealed")).code == 3


async def test_a_key_is_registered_listed_and_removed(mdm, tmp_path):
    whose = f"fqan:/{os.urandom(4).hex()}"
    assert (await mdm("keygen", tmp_path / "me")).code == 0
    registered = await mdm("recipient", "set", tmp_path / "me.pub", "--principal", whose)
    assert (registered.code, registered.text) == (0, f"registered for {whose}\n"), registered.err
    listed = (await mdm("recipient", "list", "--json")).json
    key = (tmp_path / "me.pub").read_text().splitlines()[1]
    assert [one["key"] for one in listed if one["principal"] == whose] == [key]
    assert f"{key} {whose} (by user:admin" in (await mdm("recipient", "list")).text
    assert (await mdm("recipient", "remove", "--principal", whose, "--json")).json == {"principal": whose}
    assert (await mdm("recipient", "remove", "--principal", whose)).code == 3
    assert (await mdm("recipient", "set", tmp_path / "none.pub")).code != 0
    assert (await mdm("recipient", "set", tmp_path / "me.sec")).code == 2
