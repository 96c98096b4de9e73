"""Words that tell nobody apart: of the standard's code meanings and attributes, and of protocols.

The table is made by tests/dicom/build_vocabulary.py. The content is a fact of the standard (NEMA).
"""

from functools import cache
from importlib import resources
from typing import Final

from mdm_async.dicom.values.protocol_words import PROTOCOL_WORDS

# Words of the vocabulary that are given names, or family names among the 5,000 most frequent of a census, compared
# with lists of names from many countries. In a description "left hand" is a hand; alone, HAND may be a patient.
_ALSO_NAMES: Final = """
abd age ago ala alpha amine angle antero anti antra are art back ball beam beat bei belt bin blank block blocker bone
borders box brain bravo carrier cat cath cheek child chin chip close colon con concha cone constant cor cord core
counts cross dac deep delta diet dixon done due ear early echo edge ethyl fan field file flip floor frame free gad gait
gene general gray gre gross hand head high hilar hoc holder ideal ids ion iris iso jet job key lao large lean light
line lobar loc lock long lot low made magna main manual merge meta min nadir nail nasi new night nil non numbers one
oral parent peak pen per pin pit pointer post power prem rao read ring root run sad saline sample samples scales shade
sharp shim short sid skip sky small sop speed stack strain stump sub swan take taurus than the thin toe tomo trace
treat tru true udi uri valve vena vessel vibe vital wall wing
"""


@cache
def vocabulary() -> frozenset[str]:
    """The words that may stay in cleaned text, in small letters; some are names as well."""
    table = resources.files("mdm_async.dicom.tables") / "vocabulary.csv"
    return frozenset(table.read_text(encoding="ascii").split()[1:]) | PROTOCOL_WORDS


@cache
def nameless_words() -> frozenset[str]:
    """The words of the vocabulary that are no usual names: no full name can be made of them."""
    return vocabulary() - frozenset(_ALSO_NAMES.split())
