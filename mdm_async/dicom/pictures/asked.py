"""What a picture is asked to be (PS3.18 §8.3.5)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mdm_async.dicom.pictures.viewport import Viewport

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
MOST_PIXELS: Final = 1 << 25
"""Of one picture."""


class Shape(StrEnum):
    """How shades follow from values within a window (PS3.3 §C.11.2.1.3)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Window:
    """Values between black and white, in units of what the modality transformation gives."""

    center: float
    width: float
    shape: Shape = Shape.LINEAR

    @property
    def is_one(self) -> bool:
        """PS3.3 §C.11.2.1.2."""
        return self.width >= 1 if self.shape is Shape.LINEAR else self.width > 0


@dataclass(frozen=True, slots=True)
class Picture:
    """`kind`: JPEG or PNG; `quality`: of JPEG, 1 to 100; `window`: None for the image's own."""

    kind: str
    quality: int
    viewport: Viewport
    window: Window | None = None
