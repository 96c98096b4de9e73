"""Medical Data Manager: hospital images for the grid, de-identified and encrypted on the way."""


def __getattr__(name: str) -> str:
    # Looked up when it is asked for: reading the installed packages takes as long as many a command.
    if name == "__version__":
        from importlib.metadata import version

        return version("mdm_async")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
