"""The section `[keys]`: where secrets are kept, and where the key-encryption keys (KEKs) come from."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from mdm_async.settings.sections import Section, read_secret


class KekSettings(Section):
    """Where the key-encryption keys of one database come from: one of these."""

    kek: SecretStr | None = Field(
        None,
        description="key-encryption key, 32 bytes in base64, and below it older ones that still open what they "
        "wrapped; default: a file in DIR/secrets, made at the first start",
    )
    kek_file: Path | None = Field(default=None, description="file that holds them, one a line")
    kek_command: tuple[str, ...] = Field(
        (),
        description="program, with its whole path, and arguments, that prints them: of a vault or an HSM",
    )

    kek_custodians: bool = Field(
        False,
        description="the key is shared among custodians, who unseal each start of the server: mdm keys split, unseal",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: Any) -> Any:
        return read_secret(given, "kek")

    @field_validator("kek_command")
    @classmethod
    def _is_a_path(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if command and not Path(command[0]).is_absolute():
            raise ValueError("begin with the program's whole path")
        return command

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        given = {
            "kek (or kek_file)": self.kek is not None,
            "kek_command": bool(self.kek_command),
            "kek_custodians": self.kek_custodians,
        }
        if sum(given.values()) > 1:
            names = ", ".join(name for name, is_set in given.items() if is_set)
            raise ValueError(f"{names} are set together; set one")
        return self


class KeyStoreSettings(KekSettings):
    """One of several databases that each hold a share of every secret: `[[keys.stores]]`."""

    name: str = Field(pattern="^[a-z][a-z0-9_-]{0,62}$", description="what logs and metrics call it")
    dsn: SecretStr | None = Field(None, description="its Postgres, a database that no other store uses")
    dsn_file: Path | None = Field(default=None, description="file that holds the DSN")

    @model_validator(mode="before")
    @classmethod
    def _dsn_from_file(cls, given: Any) -> Any:
        return read_secret(given, "dsn")

    @model_validator(mode="after")
    def _lies_somewhere(self) -> Self:
        if self.dsn is None:
            raise ValueError("dsn or dsn_file says where the store is")
        return self


class KeySettings(KekSettings):
    """Where secrets are kept: wrapped in the catalog's Postgres, or as shares in several databases."""

    stores: tuple[KeyStoreSettings, ...] = Field(
        (),
        description="databases that each hold a share of every secret; none: all in the catalog's Postgres",
    )
    threshold: int | None = Field(
        None, ge=2, le=255, description="how many of the stores it takes to read a secret"
    )
    cached: int = Field(
        8192,
        ge=1,
        description="transfers whose opened keys are kept in memory at the most, to serve them again",
    )
    cached_seconds: float = Field(
        30, gt=0, description="seconds without use after which opened keys are wiped from memory"
    )
    backups_days: float | None = Field(
        None,
        ge=0,
        description="days that backups of the databases are kept at the most: what was shredded is final only after "
        "them; not said: never",
    )

    @property
    def needed(self) -> int:
        """How many databases it takes to read a secret."""
        return self.threshold or 1

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if not self.stores:
            if self.threshold is not None:
                raise ValueError("threshold is for several keys.stores, and there are none")
            return self
        if len({store.name for store in self.stores}) < len(self.stores):
            raise ValueError("two of keys.stores have one name")
        if len(self.stores) > 255:
            raise ValueError("there are at most 255 keys.stores")
        if self.threshold is None or not self.threshold <= len(self.stores):
            raise ValueError(f"threshold must be from 2 to {len(self.stores)}, the number of keys.stores")
        if self.kek is not None or self.kek_command or self.kek_custodians:
            raise ValueError(
                "with keys.stores each store has its own kek_file, kek_command or kek_custodians, and keys has none"
            )
        return self
