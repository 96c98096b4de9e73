"""Transfer URLs that a request's status tells again: only to who could ask for them now."""

import os

from tests.attack.arena import RECIPIENT, rule
from tests.attack.yard import User, Yard


async def test_a_token_without_the_group_is_not_told_what_one_with_it_asked_for(yard: Yard) -> None:
    """The subject is the same, and so whose request it is; the right is the group's."""
    issuer, subject = yard.arena.issuer, f"s{os.urandom(4).hex()}"
    await yard.set(
        yard.path,
        rule(f"group:{issuer.url}#/vo/doctors", "xrliw", "identified", "*"),
        rule(f"sub:{issuer.url}#{subject}", "xl"),
    )
    file = await yard.file("a.dcm")
    strong = User(yard.server, subject, issuer.token(sub=subject, **{"wlcg.groups": ["/vo/doctors"]}))
    weak = User(yard.server, subject, issuer.token(sub=subject))
    got = (await strong.get(file, view="identified", recipient=RECIPIENT)).tree
    put = (await strong.srm("prepareToPut", files=[{"surl": yard / "b.dcm"}])).tree
    for operation, asked in (("statusOfGetRequest", got), ("statusOfPutRequest", put)):
        url = asked["files"][0]["transferURL"].encode()
        assert url in (await strong.srm(operation, requestToken=asked["requestToken"])).body
        told = await weak.srm(operation, requestToken=asked["requestToken"])
        assert told.status == 200
        assert b"transferURL" not in told.body
        assert url.split(b"/")[4] not in told.body


async def test_nobody_is_told_of_a_url_whose_right_has_gone(yard: Yard) -> None:
    user = await yard.user()
    await yard.set(yard.path, user.may("xrl"))
    request = (await user.get(await yard.file("a.dcm"))).tree["requestToken"]
    assert b"transferURL" in (await user.srm("statusOfGetRequest", requestToken=request)).body
    await yard.set(yard.path, user.may("xl"))
    assert b"transferURL" not in (await user.srm("statusOfGetRequest", requestToken=request)).body
