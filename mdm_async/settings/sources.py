"""Settings read from all their sources, and refused when they are unsafe."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    SettingsError,
)

from mdm_async.errors import UnsafeSettings
from mdm_async.private_files import demand_private
from mdm_async.settings.sections import Section
from mdm_async.settings.told import reasons
from mdm_async.settings.tree import PREFIX, Settings, config_file


def _leaves() -> Iterator[tuple[str, str, FieldInfo]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            for key, leaf in field.annotation.model_fields.items():
                yield name, key, leaf


def _variable(section: str, key: str) -> str:
    return f"{PREFIX}{section}__{key}".upper()


def _refuse_unknown_variables() -> None:
    known = {_variable(section, key) for section, key, _ in _leaves()}
    for variable in os.environ:
        if variable.startswith(PREFIX) and "__" in variable and variable not in known:
            raise UnsafeSettings(f"{variable} names no setting", remedy="`mdm config show` lists them")


def _demand_private_if_secret(config: Path | None) -> None:
    """A settings file that holds a key, or a DSN with a password, is a secret itself. Raises UnsafeSettings."""
    written = tomllib.loads(config.read_text()) if config is not None else {}
    found = list(dict.fromkeys(_told(Settings, written)))
    if config is not None and found:
        try:
            demand_private(config)
        except UnsafeSettings as why:
            raise UnsafeSettings(
                f"the settings file holds {', '.join(found)}: {why.detail}",
                remedy=f"{why.remedy}, or name a private file with {found[0]}_file",
            ) from None


def _told(model: type[BaseModel], given: Any, above: str = "") -> Iterator[str]:
    """The settings in it that are secrets and tell them."""
    for key, leaf in model.model_fields.items():
        value = given.get(key) if isinstance(given, dict) else None
        if leaf.annotation == SecretStr | None:
            if _tells(value):
                yield above + key
            continue
        for inner in _sections_in(leaf.annotation):
            for one in value if isinstance(value, list) else [value]:
                yield from _told(inner, one, f"{above}{key}.")


def _tells(given: Any) -> bool:
    """Whether it is a secret: of a DSN, the password."""
    url = str(given or "")
    return bool(url) and not ("://" in url and urlsplit(url).password is None and "password=" not in url)


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a setting is, or is a list or table of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _sections_in(inner)]


def _may_hold_secret(annotation: Any) -> bool:
    return annotation == SecretStr | None or any(
        _may_hold_secret(leaf.annotation)
        for section in _sections_in(annotation)
        for leaf in section.model_fields.values()
    )


def secret_variables() -> frozenset[str]:
    """Names of variables in the environment that may hold a secret: settings, or lists or sections of them as JSON."""
    secret = {
        name
        for section, key, leaf in _leaves()
        if _may_hold_secret(leaf.annotation)
        for name in (_variable(section, key), f"{PREFIX}{section}".upper())
    }
    return frozenset(variable for variable in os.environ if variable.upper() in secret)


def load(config: Path | None = None, *, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read, merge and check all sources; `overrides` is a tree as the TOML file is.

    Raises UnsafeSettings with every reason, one a line.
    """
    if config is not None and not config.is_file():
        why = "is no file" if config.exists() else "does not exist"
        raise UnsafeSettings(f"the settings file {config} {why}")
    _refuse_unknown_variables()
    token = config_file.set(config)
    try:
        _demand_private_if_secret(config)
        return Settings(**(overrides or {}))
    except ValidationError as errors:
        raise UnsafeSettings("\n".join(reasons(errors, Settings))) from None
    except SettingsError as why:
        # Which of them it was is not told, and its value could be a secret.
        raise UnsafeSettings(
            f"the settings in the environment cannot be read: {why}",
            remedy="""lists and tables are JSON there: MDM_SERVER__TRUSTED_PROXIES='["192.0.2.1"]'""",
        ) from None
    except tomllib.TOMLDecodeError as why:
        raise UnsafeSettings(f"the settings file {config} cannot be read: {why}") from why
    finally:
        config_file.reset(token)
