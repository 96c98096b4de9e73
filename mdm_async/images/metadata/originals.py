"""Originals in queries: asked about by keyed digests, for equality alone, and told once they are opened.

Who asks must have the right `i`, like whoever reads them. What is told goes into the audit, image by image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mdm_async.catalog.metadata.columns import BlindAttribute, DicomAttribute, JoinedAttribute
from mdm_async.dicom.equality import comparable
from mdm_async.errors import BadQuery
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.metadata.identified import identified_values
from mdm_async.keys.derive import BlindIndex
from mdm_async.keys.store import KeyStore
from mdm_async.postgres.database import Database
from mdm_async.querying.attributes import Attribute
from mdm_async.querying.conditions import (
    Compared,
    Condition,
    Every,
    Known,
    Like,
    Not,
    OneOf,
    Operator,
    Some,
    Value,
)


@dataclass(frozen=True, slots=True)
class Originals:
    keys: KeyStore
    cipher: CipherPool
    blind: BlindIndex

    def asked(self, condition: Condition) -> Condition:
        """The same of digests. Raises BadQuery for what they cannot tell."""
        match condition:
            case Every(of):
                return Every(tuple(map(self.asked, of)))
            case Some(of):
                return Some(tuple(map(self.asked, of)))
            case Not(of):
                return Not(self.asked(of))
            case Compared(DicomAttribute() as attribute, Operator.EQUAL | Operator.UNEQUAL as operator, to):
                if isinstance(to, Attribute):
                    raise _only_equal()
                return Compared(_blind(attribute), operator, self._digest(attribute, to))
            case OneOf(DicomAttribute() as attribute, values):
                return OneOf(_blind(attribute), tuple(self._digest(attribute, one) for one in values))
            case Known(DicomAttribute() as attribute):
                return Known(_blind(attribute))
            case Compared(attribute, _, to):
                _demand_own(attribute, to)
                return condition
            case OneOf(attribute) | Known(attribute) | Like(attribute):
                _demand_own(attribute)
                return condition

    def _digest(self, attribute: DicomAttribute, value: Value) -> str:
        row = attribute.row
        return self.blind.digest(row.tag, comparable(row, value)).hex()

    async def values(
        self, database: Database, images: Sequence[UUID], chosen: Sequence[Attribute], *, everything: bool
    ) -> dict[UUID, Mapping[str, Any]]:
        """What these originals say; no connection may be held."""
        wanted = {one.name for one in chosen if isinstance(one, DicomAttribute)}
        if not wanted and not everything:
            return {}
        found = await identified_values(database, self.keys, self.cipher, images)
        return {
            image: {name: one for name, one in said.items() if everything or name in wanted}
            for image, said in found.items()
        }


def demand_no_joined(attributes: Sequence[Attribute]) -> None:
    """Raises BadQuery for what another entry's original says."""
    for one in attributes:
        if isinstance(one, JoinedAttribute):
            _demand_own(one)


def _blind(attribute: DicomAttribute) -> BlindAttribute:
    if not attribute.row.blind:
        raise BadQuery(
            f"no original is found by {attribute.row.keyword}",
            remedy="see mdm meta attributes for those by which it is",
        )
    return BlindAttribute(attribute.name, attribute.kind, attribute.row.tag)


def _demand_own(*attributes: object) -> None:
    for one in attributes:
        if isinstance(one.of if isinstance(one, JoinedAttribute) else one, DicomAttribute):
            raise _only_equal()


def _only_equal() -> BadQuery:
    return BadQuery(
        "what originals say is compared with values, for equality alone",
        remedy="use = != in and is known; or ask about a de-identified view",
    )
