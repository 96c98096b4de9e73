"""The WLCG storage resource report: which interfaces are here, and how much they hold.

It names no directory, no organisation and no caller: shares are the operator's disks, whoever asks.
"""

import time
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from mdm_async import __version__
from mdm_async.images.shares import Share, shares
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.house import HOUSE, House
from mdm_async.web.http.reply import json_reply
from mdm_async.web.turls.address import TurlAddress

_CAPABILITIES: Final = ["data.management.transfer", "data.management.storage"]


def routes() -> list[web.AbstractRouteDef]:
    return [web.get("/.well-known/wlcg-storage-report", storage_report)]


async def storage_report(request: web.Request) -> web.Response:
    caller = await identified_caller_of(request)
    house = request.app[HOUSE]
    base = TurlAddress.choose(request, house, TurlAddress.protocols(house), False).base
    return json_reply(request, _report(house, base, shares(house.disks, caller)))


def _report(house: House, base: str, found: tuple[Share, ...]) -> dict[str, Any]:
    site, now = house.settings.site, int(time.time())
    name = site.called(base)
    return {
        "storageservice": {
            "name": name,
            "id": name,
            "servicetype": "mdm",
            "implementation": "mdm_async",
            "implementationversion": __version__,
            "capabilities": _CAPABILITIES,
            "qualitylevel": site.quality,
            "latestupdate": now,
            "storagecapacity": {"online": _sizes(found)},
            "storageendpoints": _endpoints(base, site.quality),
            "storageshares": [_share(house, share, now) for share in found],
        }
    }


def _endpoints(base: str, quality: str) -> list[dict[str, Any]]:
    url = urlsplit(base)
    endpoints = [
        ("davs" if url.scheme == "https" else "dav", f"{base}/dav", "https", "1.1"),
        ("tape", f"{base}/tape/v1", "wlcg-tape-rest-api", "v1"),
    ]
    if url.scheme == "https":
        endpoints.append(("srm", f"srm://{url.netloc}/srm/managerv2", "srm", "2.2"))
    return [
        {
            "name": name,
            "endpointurl": where,
            "interfacetype": kind,
            "interfaceversion": version,
            "capabilities": _CAPABILITIES,
            "qualitylevel": quality,
            "assignedshares": ["all"],
        }
        for name, where, kind, version in endpoints
    ]


def _share(house: House, share: Share, now: int) -> dict[str, Any]:
    return {
        "name": share.name,
        "timestamp": now,
        "servingstate": "draining" if house.draining or house.disks.full else "open",
        "accesslatency": "online",
        "retentionpolicy": "custodial",
        **_sizes((share,)),
        "vos": [],
        "assignedendpoints": ["all"],
        "path": ["/"],
    }


def _sizes(found: tuple[Share, ...]) -> dict[str, int]:
    """Bytes. What is kept free for the node itself belongs to no share: used and total leave room for what may come.

    What is not known is left out.
    """
    known = [(one.used, one.left) for one in found if one.used is not None and one.left is not None]
    if len(known) < len(found):
        return {}
    used = sum(used for used, _ in known)
    return {"totalsize": used + sum(left for _, left in known), "usedsize": used}
