"""A server that ends lets C-STOREs come to their end, and one that starts again goes on where it was."""

import asyncio
import os
from pathlib import Path

from tests.faults.serving import Serve, serving
from tests.pacs.devices import Device, Image, calling, data_set, image, p_data, store_command
from tests.postgres.for_tests import free_port, postgres_folder
from tests.web.made_images import made

LARGE = Image(made(pixels=3_000_000, seed=41))
