"""A small tree of names, and the rights that tests ask for on it."""

from dataclasses import dataclass

from tests.conftest import Server
from tests.web.made_images import made

ALL = "pdrwlxgsi"


RECIPIENT = "CUVoYNXJqUgy0IC1rSb3g1MsdzFkDa0MWv8k1cyyBGE="


@dataclass
class Tree:
    """A directory with a file, an empty directory, and a directory that holds a file."""

    path: str

    @property
    def file(self) -> str:
        return f"{self.path}/file.dcm"

    @property
    def empty(self) -> str:
        return f"{self.path}/empty"

    @property
    def full(self) -> str:
        return f"{self.path}/full"

    @property
    def missing(self) -> str:
        return f"{self.path}/missing"


async def grown(server: Server) -> Tree:
    tree = Tree(await server.directory())
    await server.put(tree.file, made())
    for directory in (tree.empty, tree.full):
        await server.srm("mkdir", surl=directory)
    await server.put(f"{tree.full}/below.dcm", made(seed=1))
    return tree
