"""A research project's own names for images of others: made, and whose pseudonym stands in one."""

from collections.abc import Sequence
from dataclasses import dataclass

from mdm_async.client.answer import Answer
from mdm_async.client.answers import Json
from mdm_async.client.wire import Wire
from mdm_async.errors import MdmError
from mdm_async.names import Lfn, parse_lfn


@dataclass(frozen=True, slots=True)
class Linked:
    """An entry of the project."""

    source: str
    lfn: Lfn
    guid: str


async def link(
    wire: Wire, sources: Sequence[str], target: str, *, view: str, template: str | None = None
) -> list[tuple[str, Linked | MdmError]]:
    """Give images names of a project's own below the directory `target`, for one de-identified view of them.

    `template` is of the names (see `dicom.path_template`). One request: name a thousand or so at once. A repetition
    finds what is there.
    """
    asked: Json = {"surls": list(sources), "target": target, "view": view}
    if template is not None:
        asked["template"] = template
    answer = Answer(await wire.operate("POST", "admin/v1/link", asked, repeat=True))
    return [
        (file["surl"], error or Linked(file["surl"], parse_lfn(file["lfn"]), file["guid"]))
        for file, error in answer.files()
    ]


async def look_up(wire: Wire, pseudonym: str) -> list[Json]:
    """Whose pseudonym it is: `attribute`, `original` and `view` of each match. NotFound, also if one may not know."""
    found = await wire.operate("POST", "admin/v1/pseudonyms/lookup", {"pseudonym": pseudonym}, repeat=True)
    return list(found["matches"])
