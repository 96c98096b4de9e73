"""An opaque file has one view, whatever its directory enables: to ask for another is a mistake, no lack of rights."""

from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.errors import BadRequest
from mdm_async.names import OPAQUE, Caller, Right, View


def demand_offered(caller: Caller, place: Place, view: View | None) -> None:
    """Return when the file may have such a view, or its reader need not know. Raises BadRequest."""
    if view in (None, OPAQUE) or place.only_view != OPAQUE:
        return
    if acl.allows(caller, place, Right.READ, OPAQUE):
        raise BadRequest(
            f"the file is not DICOM: it has no view '{view}', and nobody de-identifies it",
            remedy="name no view; it gives its only one, 'opaque'",
        )
