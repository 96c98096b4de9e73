"""Hospital tools that search and retrieve, as tests have them: pynetdicom's AE, and an archive for them to look at."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context, build_role

from tests.pacs.certificates import of_tests
from tests.pacs.devices import CT, TITLE, Pacs, calling
from tests.web.dicomweb.conftest import of_archive

PATIENT_FIND, STUDY_FIND = "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.2.1"
PATIENT_GET, STUDY_GET = "1.2.840.10008.5.1.4.1.2.1.3", "1.2.840.10008.5.1.4.1.2.2.3"
DOCTOR = calling(
    "DOCTOR", "/pacs", principal="user:doctor", view="identified", certificate=of_tests().at("ct.pem")
)
"""Sees identities, and so has to show a certificate: the server needs `SECURED`."""
SECURED = dict(of_tests().server)
TOOLS = (
    calling("TOOL", "/pacs", principal="user:tool", view="basic"),
    calling("NOBODY", "/pacs", principal="user:nobody", view="basic"),
    DOCTOR,
    calling("ELSEWHERE", "/pacs", principal="user:tool", view="no-such-view"),
    calling(),
)


def rule(principal: str, rights: str, **more: Any) -> dict[str, Any]:
    return {"principal": principal, "rights": rights} | more


@dataclass
class Taken:
    """What a tool has got: by C-STORE, and as answers."""

    statuses: list[int] = field(default_factory=list)
    answers: list[Dataset] = field(default_factory=list)
    last: Dataset = field(default_factory=Dataset)
    images: list[Dataset] = field(default_factory=list)


def identifier(level: str | None, **keys: Any) -> Dataset:
    asked = Dataset()
    if level is not None:
        asked.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        asked[keyword] = DataElement(keyword, dictionary_VR(keyword), value, validation_mode=IGNORE)
    return asked


@dataclass
class Tool:
    """One AE."""

    pacs: Pacs
    ae: str = "TOOL"

    @property
    def _tls(self) -> tuple[SSLContext, str] | None:
        return (of_tests().shown("ct"), "127.0.0.1") if self.ae == DOCTOR["ae"] else None

    async def find(
        self,
        asked: Dataset,
        model: str = STUDY_FIND,
        *,
        syntax: str = ExplicitVRLittleEndian,
        cancel: int = 0,
    ) -> Taken:
        """`cancel`: after so many answers."""
        return await asyncio.to_thread(self._find, asked, model, syntax, cancel)

    def _find(self, asked: Dataset, model: str, syntax: str, cancel: int) -> Taken:
        ae = AE(self.ae)
        ae.add_requested_context(model, syntax)
        association = ae.associate("127.0.0.1", self.pacs.port, ae_title=TITLE, tls_args=self._tls)
        taken = Taken()
        try:
            assert association.accepted_contexts, "no context"
            for status, answer in association.send_c_find(asked, model, msg_id=7):
                taken.last = status
                taken.statuses.append(status.get("Status", -1))
                if answer is not None:
                    taken.answers.append(answer)
                if cancel and len(taken.answers) == cancel:
                    association.send_c_cancel(7, query_model=model)
        finally:
            association.release()
        return taken

    async def get(
        self,
        asked: Dataset,
        model: str = STUDY_GET,
        *,
        syntaxes: Sequence[str] = (ExplicitVRLittleEndian,),
        classes: Iterable[str] = (CT,),
        status: int = 0,
        cancel: int = 0,
    ) -> Taken:
        """`status`: that each image is answered with; `cancel`: after so many images."""
        return await asyncio.to_thread(self._get, asked, model, syntaxes, list(classes), status, cancel)

    def _get(
        self,
        asked: Dataset,
        model: str,
        syntaxes: Sequence[str],
        classes: list[str],
        status: int,
        cancel: int,
    ) -> Taken:
        taken, ae = Taken(), AE(self.ae)

        def store(event: Any) -> int:
            image = event.dataset
            image.file_meta = event.file_meta
            taken.images.append(image)
            if len(taken.images) == cancel:
                event.assoc.send_c_cancel(7, query_model=model)
            return status

        contexts = [build_context(model, ImplicitVRLittleEndian)]
        contexts += [build_context(one, list(syntaxes)) for one in classes]
        roles = [build_role(UID(one), scp_role=True) for one in classes]
        association = ae.associate(
            "127.0.0.1",
            self.pacs.port,
            contexts=contexts,
            ae_title=TITLE,
            ext_neg=roles,
            tls_args=self._tls,
            evt_handlers=[(evt.EVT_C_STORE, store)],
        )
        try:
            for told, answer in association.send_c_get(asked, model, msg_id=7):
                taken.last = told
                taken.statuses.append(told.get("Status", -1))
                if answer is not None:
                    taken.answers.append(answer)
        finally:
            association.release()
        return taken


async def folders(pacs: Pacs) -> None:
    """One that TOOL sees, and one that it does not."""
    server = pacs.server
    both = [rule("user:tool", "x"), rule("user:doctor", "x")]
    await server.srm("setPermission", surls=["/"], permissionType="ADD", rules=both)
    doctor = rule("user:doctor", "xlrgi", views=["identified"])
    for folder, who in (("/seen", "user:tool"), ("/hidden", "user:other")):
        await server.srm("mkdir", surl=folder)
        rules = [rule(who, "xlrg", views=["basic"]), doctor]
        await server.srm("setPermission", surls=[folder], permissionType="SET", rules=rules)


async def fill(pacs: Pacs) -> dict[str, bytes]:
    """Two studies, of which TOOL does not see one series and one image."""
    await folders(pacs)
    originals = of_archive()
    for name, data in originals.items():
        # The MR series of study one, and study two's second image.
        folder = "/hidden" if name in ("4.dcm", "5.dcm", "7.dcm") else "/seen"
        await pacs.server.put(f"{folder}/{name}", data)
    return originals


async def answers_of(
    pacs: Pacs, program: str, folder: Path, *keys: str, ae: str = "TOOL"
) -> tuple[str, list[Path]]:
    """What dcmtk's findscu or getscu says and writes."""
    before = ["-S", "-X" if program == "findscu" else "+B", "-od", str(folder)]
    code, said = await pacs.dcmtk(
        program, *(part for key in keys for part in ("-k", key)), ae=ae, before=before
    )
    assert code == 0, said
    return said, sorted(folder.iterdir())
