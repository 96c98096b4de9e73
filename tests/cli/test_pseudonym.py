"""`mdm pseudonym lookup`: the way back for who holds the right i, and for nobody else."""

import io

import pydicom


async def test_a_pseudonym_leads_back_to_its_original_for_who_may_identify(
    mdm, server, environment, folder, ct
):
    await server.put(f"{folder}/a.dcm", ct)
    view = pydicom.dcmread(io.BytesIO((await mdm("get", f"{folder}/a.dcm", "-")).out))
    original = pydicom.dcmread(io.BytesIO(ct))

    assert (await mdm("pseudonym", "lookup", view.PatientID)).code == 3

    environment.setenv("BEARER_TOKEN", await server.token("rlxgi", folder, views=["identified"]))
    found = await mdm("pseudonym", "lookup", view.PatientID, "--json")
    assert found.code == 0, found.err
    assert found.json == [{"attribute": "PatientID", "original": original.PatientID, "view": "basic"}]
    shown = await mdm("pseudonym", "lookup", view.StudyInstanceUID)
    assert shown.text.split()[-3:] == ["StudyInstanceUID", original.StudyInstanceUID, "basic"]


async def test_what_is_no_pseudonym_is_one_line_and_code_2(mdm):
    ended = await mdm("pseudonym", "lookup", "MDMNOBODY")
    assert (ended.code, ended.out) == (3, b"")
    assert ended.err.count("\n") == 1
