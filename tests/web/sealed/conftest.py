"""A recipient, images of several kinds, and who may see them whole."""

import pytest

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.keyfile import format_private_key, format_public_key
from tests.conftest import Server
from tests.web.sealed.pulling import Pair


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("keys")
    pair = Pair(new_private_key(), folder / "reader", folder / "reader.pub")
    pair.secret_file.write_text(format_private_key(pair.private))
    pair.public_file.write_text(format_public_key(public_key(pair.private)))
    return pair


@pytest.fixture(scope="module")
async def identity(server: Server) -> str:
    """A token that may do all, and read the identified view too."""
    return await server.token("pdrwlxgsi", views=["*", "identified"])
