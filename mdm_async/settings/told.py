"""What is wrong with the settings, in words for whoever writes them: where it stands, what is wrong, what to write."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

_WORDS: Final = {
    "missing": "is missing; set it",
    "tuple_type": 'must be a list; write ["…"], with one value too',
    "list_type": 'must be a list; write ["…"], with one value too',
    "dict_type": "must be a table; write its settings below it",
    "model_type": "must be a table; write its settings below it",
    "model_attributes_type": "must be a table; write its settings below it",
    "int_type": "must be a whole number, without quotes",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number, without quotes",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false, without quotes",
    "bool_parsing": "must be true or false",
    "string_type": "must be a text, in quotes",
    "path_type": "must be a path, in quotes",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "too_short": "needs at least {min_length}",
    "string_too_short": "is too short; it has at least {min_length} characters",
    "string_too_long": "is too long; it has at most {max_length} characters",
    "string_pattern_mismatch": "is not written as it must be; it matches {pattern}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
}
_NEAR: Final = 0.7
"""How much of a name must be right, for another to be taken for what was meant."""


def reasons(errors: ValidationError, tree: type[BaseModel]) -> list[str]:
    """One for each setting that is wrong."""
    return [f"{_place(one['loc']) or 'settings'}: {_why(one, tree)}" for one in errors.errors()]


def _place(loc: Sequence[int | str]) -> str:
    """As the file has it: "pacs.calling, entry 1: hosts"."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f", entry {part + 1}"
        else:
            behind_entry = text.rpartition(", ")[2].startswith("entry ")
            text += f": {part}" if behind_entry else f".{part}" if text else part
    return text


def _why(error: ErrorDetails, tree: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        return _unknown(error["loc"], tree)
    words = _WORDS.get(error["type"])
    if words is None:
        return error["msg"].removeprefix("Value error, ")
    context: Mapping[str, Any] = error.get("ctx", {})
    return words.format(**context) + _unit(error, tree)


def _unit(error: ErrorDetails, tree: type[BaseModel]) -> str:
    """Numbers of bytes are the ones that are written with a unit."""
    meaning = _meaning(error["loc"], tree) if error["type"].startswith("int_") else ""
    return " of bytes: 10_000_000_000 are 10 GB" if "bytes" in meaning else ""


def _unknown(loc: Sequence[int | str], tree: type[BaseModel]) -> str:
    near = get_close_matches(str(loc[-1]), _known(loc[:-1], tree), 1, _NEAR)
    instead = f"; is it '{near[0]}'?" if near else "; `mdm config show` lists those that there are"
    return f"there is no such setting{instead}"


def _known(loc: Sequence[int | str], tree: type[BaseModel]) -> list[str]:
    """The names of the settings of a section."""
    section = _section_at(loc, tree)
    return list(section.model_fields) if section is not None else []


def _meaning(loc: Sequence[int | str], tree: type[BaseModel]) -> str:
    section = _section_at(loc[:-1], tree)
    setting = section.model_fields.get(str(loc[-1])) if section is not None else None
    return (setting.description or "") if setting is not None else ""


def _section_at(loc: Sequence[int | str], tree: type[BaseModel]) -> type[BaseModel] | None:
    section: type[BaseModel] | None = tree
    for part in loc:
        if isinstance(part, str) and section is not None and part in section.model_fields:
            section = _section(section.model_fields[part].annotation)
    return section


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section that this is, or that its entries are."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _section(one)) is not None), None)
