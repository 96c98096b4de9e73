"""The mapping file: groups that a site gives to principals."""

import os

import pytest
import structlog.testing

from mdm_async.errors import UnsafeSettings
from mdm_async.identity.mapping import Mapping
from mdm_async.names import ANONYMOUS, ANYONE, AUTHENTICATED, LOCAL_GROUP, Caller

ADA = "dn:/C=DE/O=Hospital/CN=Ada"
FILE = f"""
[groups]
radiology = ["{ADA}", "sub:https://issuer.example#7f3a"]
"trials/liver" = ["fqan:/biomed/liver/Role=curator", "{ADA}", "user:bob", "group:https://issuer.example#/g"]
empty = []
"""


def caller(*principals: str) -> Caller:
    return Caller(principals[0], frozenset({*principals, AUTHENTICATED, ANYONE}))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mapping.toml"
    path.write_text(FILE)
    return path


def groups(mapping: Mapping, *principals: str) -> set[str]:
    return {
        one.removeprefix(LOCAL_GROUP)
        for one in mapping.apply(caller(*principals)).principals
        if one.startswith(LOCAL_GROUP)
    }


def test_a_principal_has_the_groups_that_the_file_gives(path):
    mapping = Mapping(path)
    assert groups(mapping, ADA) == {"radiology", "trials/liver"}
    assert groups(mapping, "fqan:/biomed/liver/Role=curator") == {"trials/liver"}
    assert groups(mapping, "sub:https://issuer.example#7f3a") == {"radiology"}
    assert groups(mapping, "dn:/C=DE/CN=Eve") == set()


def test_every_principal_of_a_caller_counts(path):
    mapping = Mapping(path)
    assert groups(mapping, "user:bob", "sub:https://issuer.example#7f3a") == {"radiology", "trials/liver"}


@pytest.mark.parametrize(
    "almost", [ADA.lower(), ADA + "/CN=proxy", ADA + " ", ADA[:-1], ADA.replace("/O=", "/o=")]
)
def test_principals_are_compared_letter_by_letter(path, almost):
    assert groups(Mapping(path), almost) == set()


def test_a_subgroup_is_not_its_group(path):
    assert "trials" not in groups(Mapping(path), "user:bob")


def test_local_groups_come_from_the_file_alone(path):
    pretender = caller("user:eve", LOCAL_GROUP + "radiology")
    assert LOCAL_GROUP + "radiology" not in Mapping(path).apply(pretender).principals
    assert LOCAL_GROUP + "radiology" not in Mapping(None).apply(pretender).principals


def test_who_has_no_group_stays_as_they_are(path):
    assert Mapping(path).apply(ANONYMOUS) == ANONYMOUS
    assert Mapping(None).apply(ANONYMOUS) == ANONYMOUS


def test_applying_twice_is_applying_once(path):
    mapping = Mapping(path)
    once = mapping.apply(caller(ADA))
    assert mapping.apply(once) == once


def test_all_else_of_a_caller_is_kept(path):
    before = Caller(ADA, frozenset({ADA}), limited=True, until=7.0, token=3, source="192.0.2.1")
    after = Mapping(path).apply(before)
    assert (after.name, after.limited, after.until, after.token, after.source) == (
        ADA,
        True,
        7.0,
        3,
        "192.0.2.1",
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[groups]\na = ]\n", "line 2"),
        ("[groups]\na = ['user:x']\na = []\n", "line 3"),
        ("groups = 7", "not a table"),
        ("[users]", "'users' is unknown"),
        ("[groups]\na = 'user:x'", "'a' is not a list"),
        ("[groups]\na = ['ada']", "'ada'"),
        ("[groups]\na = [7]", "7"),
        ("[groups]\na = ['DN:/C=DE']", "'DN:/C=DE'"),
        ("[groups]\na = ['any:authenticated']", "'any:authenticated'"),
        ("[groups]\na = ['any:anonymous']", "'any:anonymous'"),
        ("[groups]\na = ['dn:']", "malformed member"),
        ('[groups]\na = ["user:x\\u200b"]', "malformed member"),
        ("[groups]\nb = []\na = ['group:local#/b']", "'group:local#/b'"),
        ("[groups]\n'../a' = []", "malformed name"),
        ("[groups]\n'a b' = []", "malformed name"),
        ("[groups]\n'' = []", "malformed name"),
        ("[groups]\n'a/' = []", "malformed name"),
        ("[groups]\n'a//b' = []", "malformed name"),
        ("[groups]\n'a/../b' = []", "malformed name"),
        ("[groups]\na.b = []", "'a' is not a list"),
        (b"[groups]\n'\xff' = []", "UTF-8"),
        ("#" * (1 << 20) + "\n", "larger"),
        ("a = " + "[" * 5000, "mapping file"),
    ],
)
def test_a_broken_file_is_refused_at_start_with_its_reason(tmp_path, text, reason):
    path = tmp_path / "mapping.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UnsafeSettings) as why:
        Mapping(path)
    assert reason in str(why.value)


def test_a_missing_file_is_refused_at_start(tmp_path):
    with pytest.raises(UnsafeSettings, match="cannot be read"):
        Mapping(tmp_path / "none.toml")


async def test_a_change_is_taken_up(path):
    mapping = Mapping(path)
    await mapping.refresh()
    assert mapping.generation == 0
    path.write_text('[groups]\nnew = ["user:bob"]')
    await mapping.refresh()
    assert mapping.generation == mapping.apply(caller(ADA)).generation == 1
    assert groups(mapping, "user:bob") == {"new"}
    assert groups(mapping, ADA) == set()


async def test_a_file_put_in_its_place_is_taken_up_though_it_is_as_long_and_as_old(path):
    mapping = Mapping(path)
    old = path.stat()
    other = path.with_suffix(".new")
    other.write_text(FILE.replace("bob", "eve"))
    os.utime(other, ns=(old.st_atime_ns, old.st_mtime_ns))
    other.replace(path)
    await mapping.refresh()
    assert groups(mapping, "user:eve") == {"trials/liver"}
    assert mapping.generation == 1


async def test_a_change_of_comments_changes_no_groups(path):
    mapping = Mapping(path)
    path.write_text(FILE + "# a comment")
    await mapping.refresh()
    assert mapping.generation == 0


async def test_a_file_that_breaks_or_goes_later_leaves_what_was_and_says_so_once(path):
    mapping = Mapping(path)
    for break_it in (lambda: path.write_text("[groups"), path.unlink):
        break_it()
        with structlog.testing.capture_logs() as logged:
            await mapping.refresh()
            await mapping.refresh()
        assert [line["log_level"] for line in logged] == ["error"]
        assert groups(mapping, "user:bob") == {"trials/liver"}
        assert mapping.generation == 0
    path.write_text('[groups]\nnew = ["user:bob"]')
    await mapping.refresh()
    assert groups(mapping, "user:bob") == {"new"}


async def test_without_a_file_there_is_nothing_to_watch():
    await Mapping(None).watch()
