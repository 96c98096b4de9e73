"""The operations on spaces, which are storage shares."""

from typing import Final

from mdm_async.web.srm.results import Space, Spaces, SpaceTokens
from mdm_async.web.srm.soap.reading import Tree
from mdm_async.web.srm.soap.shapes import Spoken, named, status

_FOR_EVER: Final = -1


def _tokens(result: SpaceTokens) -> Tree:
    return {"arrayOfSpaceTokens": list(result.tokens)}


def _spaces(result: Spaces) -> Tree:
    return {"arrayOfSpaceDetails": [_space(one) for one in result.spaces]}


def _space(one: Space) -> Tree:
    tree: Tree = {"spaceToken": one.token, "status": status(one.status)}
    if one.share is not None:
        tree |= {
            "retentionPolicyInfo": {"retentionPolicy": "CUSTODIAL", "accessLatency": "ONLINE"},
            "totalSize": one.share.total,
            "guaranteedSize": one.share.total,
            "unusedSize": one.share.left,
            "lifetimeAssigned": _FOR_EVER,
            "lifetimeLeft": _FOR_EVER,
        }
    return tree


SPOKEN: Final = {
    "srmGetSpaceTokens": Spoken(
        "getSpaceTokens",
        lambda asked: named(asked, userSpaceTokenDescription="userSpaceTokenDescription"),
        _tokens,
    ),
    "srmGetSpaceMetaData": Spoken(
        "getSpaceMetaData", lambda asked: named(asked, spaceTokens="arrayOfSpaceTokens"), _spaces
    ),
}
