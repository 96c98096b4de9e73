"""`mdm profile survivors`: what a curator reads before a release."""

import io

import pydicom

from tests.cli.test_profile_try import png_like_capture, written


async def test_the_texts_that_are_left_are_listed_by_attribute(mdm, server, environment, folder, ct):
    for number, kernel in enumerate(("B30f", "B70f")):
        dataset = pydicom.dcmread(io.BytesIO(ct))
        dataset.ConvolutionKernel = kernel
        await server.put(f"{folder}/{number}.dcm", written(dataset))
    await server.put(f"{folder}/sc.dcm", png_like_capture())
    assert (await mdm("profile", "survivors", folder, "--view", "basic")).code == 13

    environment.setenv("BEARER_TOKEN", await server.token("rlxi", folder, views=["basic"]))
    shown = await mdm("profile", "survivors", folder, "--view", "basic")
    assert shown.code == 0, shown.err
    lines = [line.split() for line in shown.text.splitlines()]
    assert ["(0018,1210)", "Convolution", "Kernel", "SH", "B30f", "1"] in lines
    assert ["B70f", "1"] in lines
    assert shown.text.splitlines()[-2].endswith("of 2 images")
    assert (
        shown.text.splitlines()[-1]
        == "not looked at, for they lack this view or you may not identify them: 1"
    )
    names = [f"{folder}/0.dcm", f"{folder}/1.dcm"]
    told = (await mdm("profile", "survivors", *names, "--view", "basic", "--json")).json
    assert told["files"] == 2
    (kernel,) = [one for one in told["attributes"] if one["tag"] == "(0018,1210)"]
    assert kernel["texts"] == {"B30f": 1, "B70f": 1}
