"""The URLs of DICOMweb: `/dicom-web/…` shows each directory's default view, `/dicom-web/@<view>/…` that one."""

from aiohttp import web

from mdm_async.dicom.indexed import Level
from mdm_async.web.dicomweb.asked import BASE
from mdm_async.web.dicomweb.metadata import metadata
from mdm_async.web.dicomweb.pictures import rendered, thumbnail
from mdm_async.web.dicomweb.pictures_of_many import rendered_all
from mdm_async.web.dicomweb.pixels import bulk, frames
from mdm_async.web.dicomweb.retrieve import retrieve
from mdm_async.web.dicomweb.search import search
from mdm_async.web.dicomweb.store import refuse, store

STUDY = "/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"
FRAME = INSTANCE + "/frames/{frames}"
_OF_VIEW = BASE + "/@{view}"


def routes() -> list[web.AbstractRouteDef]:
    found = {
        "/studies": search(Level.STUDY),
        "/series": search(Level.SERIES),
        "/instances": search(Level.INSTANCE),
        f"{STUDY}/series": search(Level.SERIES),
        f"{STUDY}/instances": search(Level.INSTANCE),
        f"{SERIES}/instances": search(Level.INSTANCE),
        **dict.fromkeys((STUDY, SERIES, INSTANCE), retrieve),
        **{f"{path}/metadata": metadata for path in (STUDY, SERIES, INSTANCE)},
        FRAME: frames,
        **dict.fromkeys((f"{INSTANCE}/rendered", f"{FRAME}/rendered"), rendered),
        **dict.fromkeys((f"{STUDY}/rendered", f"{SERIES}/rendered"), rendered_all),
        **{f"{path}/thumbnail": thumbnail for path in (STUDY, SERIES, INSTANCE, FRAME)},
        f"{INSTANCE}/bulkdata/{{where}}": bulk,
    }
    return [
        *(web.get(f"{base}{path}", handler) for base in (BASE, _OF_VIEW) for path, handler in found.items()),
        *(
            web.post(f"{base}{path}", handler)
            for base, handler in ((BASE, store), (_OF_VIEW, refuse))
            for path in ("/studies", STUDY)
        ),
    ]
