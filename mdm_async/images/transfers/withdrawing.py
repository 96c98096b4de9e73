"""An upload given up by its transfer URL, as clients do when it failed: what it brought goes, its name is free."""

from collections.abc import Container

from mdm_async.catalog.grants import grants
from mdm_async.catalog.holdings import images
from mdm_async.catalog.rights.tokens import digest
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import Exists, Forbidden, Gone
from mdm_async.images.changed import ChangedHere
from mdm_async.images.fairness.desk import Desk
from mdm_async.names import Caller
from mdm_async.postgres.database import Database


async def withdraw(
    desk: Desk,
    database: Database,
    changed: ChangedHere,
    token: str,
    source: str,
    coming: Container[bytes],
) -> None:
    """Repeating it is no error. Raises Gone, Forbidden for what is read, Exists once the file has its name.

    `coming`: the uploads that run. Where nothing has come and nothing comes, there is nothing to give up: gfal2 cleans
    up so after a COPY that it was refused, and then puts the file by the very same URL.
    """
    async with database.transaction() as db:
        found = await grants.by_turl(db, digest(token))
        if found is None or (not found.serves and found.grant.state != "aborted"):
            raise Gone()
        grant = found.grant
        if grant.operation != "put":
            raise Forbidden("nothing is removed by a URL to read it", remedy="release it: releaseFiles")
        if grant.state == "aborted" or (grant.state == "open" and grant.turl not in coming):
            return
        if not (
            await grants.settle(db, grant, "aborted", "open")
            or await grants.settle(db, grant, "aborted", "uploaded")
        ):
            raise Exists("the file has its name already", remedy="remove it by that: mdm rm")
        # An upload may have arrived since it was looked at.
        settled = await grants.by_turl(db, grant.turl)
        if settled is not None and settled.grant.image is not None:
            await images.doom_unreferenced(db, [settled.grant.image])
        who = Caller(grant.caller, frozenset(), source=source)
        await acts.record(db, [Act(who, "abort", details={"transfer": grant.turl.hex()[:16]})])
    desk.end(grant.request, 1)
    changed.turls([grant.turl])
