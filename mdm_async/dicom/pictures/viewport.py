"""Which part of a frame a picture shows, and how large (PS3.18 §8.3.5.1.3): arithmetic alone."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Viewport:
    """Pixels of the picture at the most, and the part of the frame in its own pixels, from its upper left.

    What is None is as the frame has it. A negative width or height mirrors that part. `enlarges`: a part that is
    smaller than the viewport fills it.
    """

    width: int | None = None
    height: int | None = None
    left: float = 0
    top: float = 0
    part_width: float | None = None
    part_height: float | None = None
    enlarges: bool = True

    def mirrored(self) -> tuple[bool, bool]:
        """Left to right, top to bottom."""
        return (self.part_width or 0) < 0, (self.part_height or 0) < 0

    def box(self, columns: int, rows: int) -> tuple[float, float, float, float] | None:
        """Left, top, right and bottom of what is shown of a frame of that size; None when nothing of it is."""
        left, right = _within(self.left, self.part_width, columns)
        top, bottom = _within(self.top, self.part_height, rows)
        return (left, top, right, bottom) if right - left >= 1 and bottom - top >= 1 else None

    def size(self, box: tuple[float, float, float, float]) -> tuple[int, int]:
        """Width and height of the picture of this part: its proportions stay."""
        width, height = box[2] - box[0], box[3] - box[1]
        scales = [
            most / own for most, own in ((self.width, width), (self.height, height)) if most is not None
        ]
        scale = min(scales, default=1.0)
        if not self.enlarges:
            scale = min(1.0, scale)
        return max(1, round(width * scale)), max(1, round(height * scale))


def _within(start: float, length: float | None, whole: int) -> tuple[float, float]:
    stop = whole if length is None else start + abs(length)
    return max(0.0, start), min(float(whole), stop)
