"""What is asked of an archive: which studies, and what it says of them."""

import re
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from math import ceil
from typing import Final, Self

from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.dicom import model_json
from mdm_async.dicom.filemeta import is_uid
from mdm_async.dicom.indexed import Kind, by_keyword
from mdm_async.dicom.values.lexical import is_legal
from mdm_async.errors import BadQuery, SourceAway
from mdm_async.names import Caller
from mdm_async.pacs.source import Said, Source
from mdm_async.pacs.sources.archives import Archives
from mdm_async.postgres.database import Connection, Database

MOST_FOUND: Final = 1000
"""Studies of one answer."""
_PAGE: Final = 200
_MOST_TERMS, _MOST_CHARACTERS = 16, 256
_TELL_NOBODY: Final = frozenset({"Modality", "StudyDate"})
"""What may be asked for without the right to know who is in an archive: by any other attribute somebody is found."""
_VALUE: Final = re.compile(r"[^\\\x00-\x1f\x7f]+")
_TOLD: Final[tuple[str, ...]] = (
    "StudyInstanceUID",
    "PatientName",
    "PatientID",
    "StudyDate",
    "AccessionNumber",
    "StudyDescription",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Studies with these values, as QIDO-RS matches them; of their instances those of one modality, if it is named."""

    studies: tuple[tuple[str, str], ...]
    study: str | None = None
    modality: str | None = None
    keywords: tuple[str, ...] = ()
    """All that it asks for, without the values."""

    @classmethod
    def parse(cls, study: str | None, query: str | None) -> Self:
        """`query` as "Modality=CT&StudyDate=20240101-20241231". Raises BadQuery."""
        terms: dict[str, str] = {}
        for term in (query or "").split("&") if query else ():
            keyword, value = _term(term)
            if keyword in terms:
                raise BadQuery(f"the query names {keyword} twice", remedy="name each attribute once")
            terms[keyword] = value
        if len(terms) > _MOST_TERMS or any(len(value) > _MOST_CHARACTERS for value in terms.values()):
            raise BadQuery("the query for an archive is too long")
        study = terms.get("StudyInstanceUID") if study is None else study
        if study is not None:
            # Wild cards in a UID would match everybody's.
            if not is_uid(study):
                raise BadQuery("the Study Instance UID is no UID")
            terms["StudyInstanceUID"] = study
        keywords = tuple(terms)
        modality = terms.pop("Modality", "").upper() or None
        if modality is not None:
            terms["ModalitiesInStudy"] = modality
        return cls(tuple(terms.items()), study, modality, keywords)

    @property
    def identifies(self) -> bool:
        """Whether its answer, were it only a number, could tell of somebody."""
        return not _TELL_NOBODY.issuperset(self.keywords)

    def has_study(self, said: Said) -> bool:
        """Whether it is one that was asked for: an archive may match by less than it was given."""
        uid = model_json.study_uid(said)
        return is_uid(uid) and self.study in (None, uid)

    def has_instance(self, said: Said) -> bool:
        return not model_json.modality(said) or self.modality in (None, model_json.modality(said))


def _term(text: str) -> tuple[str, str]:
    """An attribute's keyword and the value that is asked for. BadQuery repeats a known keyword, and no value."""
    keyword, _, value = text.partition("=")
    if keyword not in by_keyword():
        raise BadQuery(
            "the query names an attribute that archives are not asked for",
            remedy="it is KEYWORD=VALUE, joined by &, of attributes that `mdm meta attributes` lists",
        )
    # An archive may take blanks off, and to nothing all it has matches.
    if not _VALUE.fullmatch(value) or not value.strip():
        raise BadQuery(f"the query gives no value of {keyword}", remedy=f"write {keyword}=VALUE")
    if by_keyword()[keyword].kind is Kind.DATE and not _is_dates(value):
        raise BadQuery(
            f"the value of {keyword} is no date and no range of them",
            remedy="write 20260131 or 20260101-20260131",
        )
    return keyword, value


def _is_dates(value: str) -> bool:
    """PS3.4 §C.2.2.2.5."""
    first, to, last = value.partition("-")
    bounds = [one for one in ((first, last) if to else (first,)) if one]
    return bool(bounds) and all(one.isascii() and is_legal(b"DA", one.encode()) for one in bounds)


@dataclass(frozen=True, slots=True)
class Listed:
    """By keyword, what an archive says of studies. `more`: there are others beyond these."""

    studies: Sequence[Mapping[str, str]]
    more: bool


async def echo(database: Database, archives: Archives, caller: Caller, name: str) -> float:
    """Seconds that an archive took to answer. Raises NotFound, SourceAway, PeerFailed."""
    async with database.acquire() as db:
        await acl.demand_administrator(db, caller)
    return await archives.named(name).source.echo()


async def demand_asker(db: Connection, caller: Caller, wanted: Wanted) -> None:
    """What could tell of somebody takes the right `i` on /. Raises Forbidden, Unauthenticated."""
    await (acl.demand_identities if wanted.identifies else acl.demand_administrator)(db, caller)


async def admitted(
    database: Database, archives: Archives, caller: Caller, name: str, wanted: Wanted, act: str
) -> Source:
    """The archive, for an administrator who may ask it for this; audited as `act`.

    What could tell of somebody takes the right `i` on /. Raises NotFound, Forbidden, Unauthenticated; SourceAway out of
    its hours.
    """
    async with database.transaction() as db:
        await demand_asker(db, caller, wanted)
        archive = archives.named(name)
        if (closed := archive.line.closed()) > 0:
            raise SourceAway(
                f"the archive may be asked from {archive.line.hours} only",
                remedy="wait until then, or change pacs.sources.hours",
                retry_after=ceil(closed),
            )
        source = archive.source
        await acts.record(db, [Act(caller, act, details={"archive": name, "keywords": wanted.keywords})])
    return source


async def find(database: Database, archives: Archives, caller: Caller, name: str, wanted: Wanted) -> Listed:
    """What an archive says of studies and their patients, to an administrator with the right `i` on /; audited.

    Raises NotFound, SourceAway, PeerFailed.
    """
    async with database.acquire() as db:
        await acl.demand_identities(db, caller)
    source, told, seen, more = archives.named(name).source, list[Mapping[str, str]](), 0, False
    async with aclosing(source.studies(wanted.studies, begin=0, size=_PAGE)) as pages:
        async for page in pages:
            seen += len(page)
            # No more of a page is kept than is told.
            shown = (model_json.shown(one) for one in page if wanted.has_study(one))
            told += [{keyword: said[keyword] for keyword in _TOLD if keyword in said} for said in shown]
            if more := seen >= MOST_FOUND:
                break
    async with database.transaction() as db:
        # Before anything is told.
        await acl.demand_identities(db, caller)
        details = {"archive": name, "keywords": wanted.keywords, "studies": len(told)}
        await acts.record(db, [Act(caller, "pacs find", details=details)])
    return Listed(told[:MOST_FOUND], more or len(told) > MOST_FOUND)
