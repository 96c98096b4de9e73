"""Medical Data Manager: hospital images for the grid, de-identified and encrypted on the way."""

from importlib.metadata import version

__version__ = version("mdm_async")
