"""Keys in memory that are overwritten when the last who needs them lets go."""


class Wiped(bytearray):
    """Bytes that no repr shows, and that are zeros before their memory is anybody else's.

    Never by hand, for what still runs would go on with a key of zeros.
    """

    def __repr__(self) -> str:
        return f"<{len(self)} secret bytes>"

    __str__ = __repr__

    def __del__(self) -> None:
        self[:] = bytes(len(self))
