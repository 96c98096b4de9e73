"""Statuses that a client would take for success are told in others that it knows."""

from tests.conftest import Server

GFAL2 = "gfal2-util/1.8.0 gfal2/2.21.2"


async def test_gfal2_is_told_no_status_after_which_it_ends_well(server: Server) -> None:
    directory = await server.directory()
    tree = await server.srm("prepareToPut", files=[{"surl": f"{directory}/{n}"} for n in range(2)])
    found = []
    for file, agent in zip(tree["files"], ("curl/8", GFAL2), strict=True):
        reply = await server.call("PUT", file["transferURL"], data=b"no image", headers={"User-Agent": agent})
        found.append((reply.status, reply.tree["status"], reply.tree["type"]))
    assert found == [(422, 422, "urn:mdm:error:not-dicom"), (400, 400, "urn:mdm:error:not-dicom")]
