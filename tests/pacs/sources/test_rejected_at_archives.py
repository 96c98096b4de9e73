"""A rejection note that an archive has hides what is that archive's, once it is brought."""

import io

import pydicom
from pydicom.uid import generate_uid

from tests.conftest import Server
from tests.pacs.devices import Image
from tests.pacs.notes import SAFETY, note
from tests.pacs.sources.conftest import DIRECTORY
from tests.pacs.sources.fake_archive import FakeArchive
from tests.pacs.sources.test_staging import ended, registered
from tests.web.made_images import made


def as_image(added: pydicom.Dataset) -> Image:
    written = io.BytesIO()
    added.save_as(written, enforce_file_format=True)
    return Image(written.getvalue())


async def test_an_archives_note_hides_what_is_registered_of_it_now_and_later(
    archive: FakeArchive, staging: Server
) -> None:
    one = as_image(archive.add(made(seed=1)))
    (path,) = await registered(staging)
    # Somebody else has the same instance.
    own = await staging.directory()
    await staging.put(f"{own}/it.dcm", one.file)
    late = pydicom.dcmread(io.BytesIO(one.file))
    late.SOPInstanceUID = generate_uid()
    late.file_meta.MediaStorageSOPInstanceUID = late.SOPInstanceUID
    archive.add(note([one, as_image(late)], SAFETY).file)
    (said,) = set(await registered(staging)) - {path}
    tree = await staging.srm("prepareToGet", files=[{"surl": said}])
    await ended(staging, tree["requestToken"])
    assert await registered(staging) == []
    archive.add(as_image(late).file)
    assert await registered(staging) == []
    assert (await staging.srm("ls", surls=[f"{own}/it.dcm"]))["files"]
    # Taken back: what there is, and what came later, is there.
    await staging.srm("rm", surls=[said])
    (listed,) = (await staging.srm("ls", surls=[DIRECTORY]))["files"]
    assert path in [child["path"] for child in listed["subPaths"]]
    assert len(listed["subPaths"]) == 2
