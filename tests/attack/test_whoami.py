"""Whoever asks is told who they are taken for, and by which of the credentials that there are."""

import time
from datetime import datetime

import pytest

from tests.attack.arena import Arena


@pytest.mark.parametrize(
    ("kind", "credential"),
    [
        ("anonymous", "none"),
        ("narrow", "local token"),
        ("capability", "JWT"),
        ("group", "JWT"),
        ("certificate", "certificate"),
        ("limited", "proxy"),
        ("voms", "VOMS proxy"),
    ],
)
async def test_each_kind_of_credential_has_its_name(arena: Arena, kind: str, credential: str) -> None:
    who = arena.principals[kind]
    told = (await who.call(arena.server, "POST", "/admin/v1/whoami", json={"surl": "/mine"})).tree
    assert (told["name"], told["credential"]) == (who.name, credential)
    assert told["limited"] == (kind == "limited")
    assert "any:anonymous" in told["principals"]
    if credential not in ("none", "local token"):
        assert datetime.fromisoformat(told["until"]).timestamp() > time.time()
    assert {scope["path"] for scope in told["scopes"]} == set(who.covered)
    assert told["here"]["status"]["statusCode"] == (
        "SRM_AUTHENTICATION_FAILURE" if kind == "anonymous" else "SRM_SUCCESS"
    )


async def test_who_shows_no_valid_credential_is_nobody(arena: Arena) -> None:
    for kind in ("revoked", "expired", "forged"):
        assert (await arena.principals[kind].call(arena.server, "POST", "/admin/v1/whoami")).status == 401


async def test_groups_of_every_source_are_among_the_principals(arena: Arena) -> None:
    groups = {"mapped": "group:local#/team", "voms": "fqan:/", "group": "group:https://"}
    for kind, group in groups.items():
        told = (await arena.principals[kind].call(arena.server, "POST", "/admin/v1/whoami", json={})).tree
        assert any(principal.startswith(group) for principal in told["principals"]), told
