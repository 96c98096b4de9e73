"""Read the bits of a unit's payload (RBSP: ISO 14496-10 §7.2, §9.1; ISO 23008-2 likewise)."""


class Bits:
    """The bits of a unit without its header, after its escapes. Past the end all are zeros."""

    def __init__(self, body: bytes) -> None:
        payload = body.rstrip(b"\0").replace(b"\0\0\3", b"\0\0")
        self._number = int.from_bytes(payload, "big")
        self._left = 8 * len(payload)

    def u(self, count: int) -> int:
        """An unsigned number of `count` bits."""
        self._left -= count
        if self._left < 0:
            return 0
        return self._number >> self._left & (1 << count) - 1

    def flag(self) -> bool:
        return self.u(1) == 1

    def ue(self) -> int:
        """An Exp-Golomb number."""
        zeros = 0
        while self._left > 0 and zeros < 33 and not self.flag():
            zeros += 1
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """A signed one."""
        number = self.ue()
        return (number + 1) // 2 if number % 2 else -(number // 2)

    @property
    def at_end(self) -> bool:
        """Whether just so much was read as there is."""
        return self._left == 0

    @property
    def more(self) -> bool:
        """Whether there are bits before the one that ends the payload (more_rbsp_data)."""
        return self._left > 0 and self._number & (1 << self._left) - 1 != 1 << self._left - 1

    @property
    def ends_here(self) -> bool:
        """Whether what is left is the bit 1 that ends the payload, and fewer than eight zeros."""
        return 0 < self._left <= 8 and not self.more
