"""The source of key-encryption keys that settings name."""

from pathlib import Path

from mdm_async.keys.command import KekCommand
from mdm_async.keys.custodians import HeldByCustodians
from mdm_async.keys.kept_file import KeptKeks
from mdm_async.keys.sources import GivenKeks, KekFile, KekSource
from mdm_async.settings.keys import KekSettings, KeySettings, KeyStoreSettings


def kek_sources(settings: KeySettings, secrets: Path, keeper: int | None = None) -> dict[str, KekSource]:
    """By key store; the catalog's own, where there are no others, is ''."""
    if not settings.stores:
        return {"": kek_source(settings, secrets / "kek", keeper)}
    return {store.name: kek_source(store, secrets / f"kek-{store.name}", keeper) for store in settings.stores}


def kek_source(settings: KekSettings, kept: Path, keeper: int | None = None) -> KekSource:
    """The one that these settings name; `kept` is the server's own file, used when they name none.

    Files belong to the server's user, root, or `keeper`.
    """
    if settings.kek_custodians:
        return HeldByCustodians(settings.name if isinstance(settings, KeyStoreSettings) else "")
    if settings.kek_command:
        return KekCommand(settings.kek_command)
    if settings.kek_file is not None:
        return KekFile(settings.kek_file, keeper)
    if settings.kek is not None:
        return GivenKeks(settings.kek.get_secret_value())
    return KeptKeks(kept, keeper)
