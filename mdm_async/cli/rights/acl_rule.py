"""Rules of ACLs as they are written on a command line or in a file."""

import re
import tomllib
from pathlib import Path
from typing import Any

import orjson

from mdm_async import rules as acl_rules
from mdm_async.errors import BadRequest, MdmError
from mdm_async.rules import Rule

_BARE_DN = re.compile(r"dn:(?:.*)/(?:CN|C|DC|L|O|OU|SN|ST|GN|UID|serialNumber|emailAddress|\d+(?:\.\d+)+)")
"""A DN up to its last '=', so that what follows is a part of the name: no rights were given."""
_WRITE = "write PRINCIPAL=RIGHTS or PRINCIPAL=RIGHTS@VIEW,VIEW"
_LARGEST = 1 << 20


def parse_rule(text: str) -> Rule:
    """`PRINCIPAL=RIGHTS[@VIEW,VIEW]`; the last '=' divides, for DNs hold some. Raises BadRequest."""
    principal, given = _divided(text)
    if not given:
        raise BadRequest("a rule gives no rights", remedy=_WRITE)
    rights, at, views = given.partition("@")
    return acl_rules.rule(principal, rights, views.split(",") if at else None)


def parse_removal(text: str) -> Rule:
    """As a rule; without rights, or with nothing after the '=', all of the principal's."""
    principal, given = _divided(text)
    return parse_rule(text) if given else Rule(acl_rules.parse_principal(principal), "")


def read_rules(file: Path) -> tuple[Rule, ...]:
    """A JSON or TOML file: a list of rules, or what has such a list under `rules`. Raises BadRequest."""
    try:
        content = file.read_bytes()
    except OSError as why:
        raise MdmError(f"{file} cannot be read: {why.strerror}") from None
    if len(content) > _LARGEST:
        raise BadRequest("this is too long for an ACL")
    tree: Any
    try:
        tree = orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            tree = tomllib.loads(content.decode())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
            raise BadRequest("the file is neither JSON nor TOML") from None
    listed = tree.get("rules") if isinstance(tree, dict) else tree
    if not isinstance(listed, list):
        raise BadRequest("the file has no list of rules", remedy='give [[rules]] in TOML, or {"rules": […]}')
    return tuple(_rule(number, one) for number, one in enumerate(listed, 1))


def _rule(number: int, told: object) -> Rule:
    if isinstance(told, str):
        return parse_rule(told)
    if not isinstance(told, dict) or told.keys() - {"principal", "rights", "views"}:
        raise BadRequest(
            f"rule {number} is malformed", remedy="a rule has a principal, rights, and if need be views"
        )
    principal, rights, views = told.get("principal"), told.get("rights"), told.get("views")
    listed = views is None or (isinstance(views, list) and all(isinstance(view, str) for view in views))
    if not isinstance(principal, str) or not isinstance(rights, str) or not rights or not listed:
        raise BadRequest(
            f"rule {number} is malformed", remedy="principal and rights are strings, views a list"
        )
    try:
        return acl_rules.rule(principal, rights, views)
    except BadRequest as why:
        raise BadRequest(f"rule {number}: {why.detail}", remedy=why.remedy) from None


def _divided(text: str) -> tuple[str, str]:
    principal, divider, given = text.rpartition("=")
    if not divider or (given and _BARE_DN.fullmatch(principal)):
        return text, ""
    return principal, given
