"""Projects' own mappings of patients to subjects, as a server keeps them."""

from mdm_async.client.told_errors import Json
from mdm_async.client.wire import Wire
from mdm_async.names import parse_project


class Mappings:
    """The operations on mappings; each takes an administrator with the right `i` on the root."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def set(self, project: str, csv: str) -> Json:
        """Put a mapping into force: how many `patients` it maps, the views that are made `anew`, and `warnings`."""
        return await self._wire.operate("PUT", _path(project), {"csv": csv}, repeat=True)

    async def show(self, project: str) -> Json:
        """The mapping as `csv`, when it was `set` and by whom. NotFound."""
        return await self._wire.operate("GET", _path(project))

    async def unset(self, project: str) -> Json:
        """Forget a mapping; the views that are made `anew` without it. NotFound."""
        return await self._wire.operate("DELETE", _path(project))


def _path(project: str) -> str:
    return f"admin/v1/projects/{parse_project(project)}/mapping"
