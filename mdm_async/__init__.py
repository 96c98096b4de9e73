"""Medical Data Manager: hospital images for the grid, de-identified and encrypted on the way.

with mdm_async.connect("https://mdm.example.org") as mdm:
    dataset = pydicom.dcmread(mdm.open("/vo/study/one.dcm"))
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mdm_async.client import Client, connect

    __version__: str

__all__ = ["Client", "__version__", "connect"]


def __getattr__(name: str) -> Any:
    # Each when it is asked for: what a command does not use must not make it wait.
    if name == "__version__":
        from importlib.metadata import version

        return version("mdm_async")
    if name in __all__:
        from mdm_async import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
