"""`mdm acl get|set`: who may do what with files and directories."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of
from mdm_async.cli.known_views import unknown
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, complain, end, error_json, print_json, print_line
from mdm_async.cli.rights.acl_rule import parse_removal, parse_rule, read_rules
from mdm_async.cli.settled import settled
from mdm_async.client.acls import Acl, Change, Changed
from mdm_async.client.one_or_many import Outcome
from mdm_async.errors import BadRequest, MdmError
from mdm_async.rules import Kind, Rule, in_words

Paths = Annotated[list[str], typer.Argument(metavar="LFN…", show_default=False)]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Who may do what: rights on files and directories.", no_args_is_help=True)
    group.command()(get)
    group.command("set")(change)
    app.add_typer(group, name="acl")


def get(
    context: typer.Context,
    paths: Paths,
    principal: Annotated[
        list[str] | None,
        typer.Option(
            help="What this principal may do by the ACL; again for more that are the same person's."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the rights in force, where they come from, and what they give to whom.

    Example: `mdm acl get /demo --principal fqan:/vo/radiology`
    """

    async def work() -> dict[str, Acl]:
        async with client_of(context) as client:
            return await client.acl.get(paths, principal or ())

    _print(settled(work()), _print_acl, json=json)


def change(
    context: typer.Context,
    paths: Paths,
    add: Annotated[
        list[str] | None, typer.Option(metavar="P=RIGHTS[@VIEW,…]", help="Give rights; again for more.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="P[=RIGHTS]", help="Take rights away; without rights, all.")
    ] = None,
    replace: Annotated[
        list[str] | None, typer.Option(metavar="P=RIGHTS[@VIEW,…]", help="These and no others for P.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="JSON or TOML with a list of rules: the whole ACL, before the rest.")
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="What entries below inherit, not the directory's own.")
    ] = False,
    inherit: Annotated[bool, typer.Option("--inherit", help="No ACL of its own from now on.")] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="All below that have ACLs of their own, too.")
    ] = False,
    json: Json = False,
) -> None:
    """Change rights. Whoever loses one has his running transfers stopped within a second.

    Example: `mdm acl set /demo --add fqan:/vo/radiology=rlx@basic --remove user:old`
    """
    changes = _changes(add or (), remove or (), replace or (), file)
    if inherit == bool(changes):
        raise BadRequest("give rules, or --inherit", remedy="mdm acl set --help")

    unmade: set[str] = set()

    async def work() -> dict[str, Changed]:
        async with client_of(context) as client:
            changed = await client.acl.change(
                paths, changes, default=default, inherit=inherit, recursive=recursive
            )
            unmade.update(await unknown(client, _views_given(changes)))
            return changed

    outcomes = settled(work())
    for view in sorted(unmade):
        complain(
            MdmError(
                f"warning: no profile makes the view {view!r}, so nothing is read in it",
                remedy="`mdm profile list` names those that there are",
            )
        )
    _print(outcomes, _print_changed, json=json)


def _views_given(changes: Sequence[Change]) -> set[str]:
    given = (rule.views or () for one in changes if one.kind is not Kind.REMOVE for rule in one.rules)
    return {view for views in given for view in views}


def _changes(
    add: Sequence[str], remove: Sequence[str], replace: Sequence[str], file: Path | None
) -> list[Change]:
    """In this order: the whole, removals, replacements, additions."""
    steps = [
        (Kind.REMOVE, [parse_removal(text) for text in remove]),
        (Kind.CHANGE, [parse_rule(text) for text in replace]),
        (Kind.ADD, [parse_rule(text) for text in add]),
    ]
    changes = [Change(kind, rules) for kind, rules in steps if rules]
    if file is not None:
        with about(str(file)):
            changes.insert(0, Change(Kind.SET, read_rules(file)))
    return changes


def _print(outcomes: Sequence[Outcome[Any]], show: Any, *, json: bool) -> None:
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, outcome.name)
    if json:
        print_json([_as_json(outcome) for outcome in outcomes])
    else:
        for outcome in outcomes:
            if outcome.result is not None:
                show(outcome.name, outcome.result.told)
    end(outcome.error for outcome in outcomes)


def _as_json(outcome: Outcome[Any]) -> dict[str, Any]:
    if outcome.result is None:
        assert outcome.error is not None
        return {"path": outcome.name, "error": error_json(outcome.error)}
    told = outcome.result.told.items()
    return {"path": outcome.name, **{name: value for name, value in told if name not in ("surl", "status")}}


def _print_acl(path: str, told: dict[str, Any]) -> None:
    inherited = _from(told, "inheritedFrom", "inherited") if told["inherited"] else "its own"
    print_line(f"{path}: {inherited}")
    _print_rules(told["rules"])
    default = told.get("default")
    if default is not None and default["own"]:
        print_line("  handed down to what is below:")
        _print_rules(default["rules"])
    if (effective := told.get("effective")) is not None:
        _print_effective(path, effective, inherited=told["inherited"])


def _print_rules(rules: list[dict[str, Any]]) -> None:
    for one in rules:
        print_line(f"  {_rule(one)}")
    if not rules:
        print_line("  nobody")


def _rule(one: dict[str, Any]) -> str:
    views = one.get("views")
    return f"{one['principal']}={in_words(Rule('', one['rights'], tuple(views) if views else None))}"


def _from(told: dict[str, Any], name: str, otherwise: str) -> str:
    where = told.get(name)
    return f"inherited from {where['path']}" if where else otherwise


def _print_effective(path: str, effective: dict[str, Any], *, inherited: bool) -> None:
    print_line(f"  effective rights: {effective['permission'] or 'none'}")
    for one in effective["given"]:
        right = one["permission"] + (f" on {one['view']}" if "view" in one else "")
        where = one["from"]["path"] if "from" in one else "a directory above" if inherited else path
        print_line(f"  {right:>14}: {_rule(one['rule'])} at {where}")
    if effective["blocked"]:
        bar = effective.get("blockedAt")
        barred = bar["path"] if bar else "a directory above"
        print_line(f"  no 'x' at {barred}: nothing below it counts")


def _print_changed(path: str, told: dict[str, Any]) -> None:
    left = f", {told['left']} left: you may not change them" if told["left"] else ""
    print_line(f"{path}: {told['changed']} changed{left}")
