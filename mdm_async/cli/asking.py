"""What is typed unseen at a terminal."""

import sys

import typer

from mdm_async.errors import BadRequest


def secret(what: str, *, is_new: bool = False, otherwise: str) -> str:
    """As typed; what is new is asked for twice. BadRequest, with what to do `otherwise`, where there is no terminal."""
    if not sys.stdin.isatty():
        raise BadRequest("there is no terminal to ask on", remedy=otherwise)
    typed: str = typer.prompt(what, hide_input=True, confirmation_prompt=is_new, err=True)
    return typed


def secret_or_line(what: str) -> str:
    """As typed at a terminal, or the first line of what comes from elsewhere."""
    if sys.stdin.isatty():
        return secret(what, otherwise="")
    line = sys.stdin.readline().strip()
    if not line:
        raise BadRequest(f"{what}: stdin has no line")
    return line
