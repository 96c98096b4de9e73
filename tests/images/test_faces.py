"""Slices of heads: served with a warning in the report, or in quarantine until somebody lets them out."""

from tests.conftest import Server
from tests.dicom.test_burned_in import picture
from tests.dicom.test_faces import ALL_HEADS
from tests.web.test_profiles import add, applied, ask, explained


async def test_heads_are_warned_of_and_wait_in_quarantine(own_server: Server) -> None:
    server = own_server
    await add(server, 'name = "shy"\nfaces = "quarantine"\n')
    await applied(server, "shy", "/")
    for number, (keyword, said) in enumerate(ALL_HEADS):
        data = picture(
            **({"Modality": "MR", "SpecificCharacterSet": "ISO_IR 192"} | said),
            SOPInstanceUID=f"1.2.7.{number}",
        )
        await server.put(f"/{number}.dcm", data)
        assert f"(by {keyword})" in (await explained(server, f"/{number}.dcm", "shy"))["explanation"]
        assert await server.read(f"/{number}.dcm")
    told = await server.call("POST", "/admin/v1/report", token=server.admin_token, json={"surl": "/"})
    assert all("a face can be recognised" in file["warnings"][0] for file in told.tree["files"])
    curator = await server.token("lri", name="curator")
    release = "/admin/v1/profiles/shy/release"
    await server.call("POST", release, token=curator, json={"surls": ["/0.dcm"]})
    assert await server.read("/0.dcm", view="shy")
    assert (await ask(server, "shy", "progress", surl="/"))["quarantined"] == len(ALL_HEADS) - 1
