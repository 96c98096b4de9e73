"""Makes mdm_async/dicom/tables/vocabulary.csv from what pydicom carries of the standard: run it, and look at the diff.

Common words only: those that stand in small letters somewhere in the code meanings of PS3.16, which names of people and
places do not, and the words of the attributes' names in PS3.6, among which there are none. Words that are also usual
names of people are left out.
"""

import re
from pathlib import Path

from pydicom.datadict import DicomDictionary
from pydicom.sr._concepts_dict import concepts

TABLE = Path(__file__).parents[2] / "mdm_async" / "dicom" / "tables" / "vocabulary.csv"
WORD = re.compile(r"(?<![\w'])[A-Za-z]{3,}(?![\w'])", re.ASCII)
SCHEMES = ("DCM", "SCT", "LN", "RADLEX", "FMA", "NCIt", "UMLS", "NEU")
_NAMES = """
alias apso bay bear berkshire berlin black blue bob branch brown bud bull button cage carina carmine celestine
chihuahua coach cocker collie coon cousin crystal cutter dale dane day del des diamond dorset duck dye echt
erie fox garnet glass green griffon hansel home horn janus kit lamp law leen leopard little loge mac major
mark marsh mary mash max may merino minor mountain nile oles orange page pei person petit pool poor purple
race ray red rex rich rod rolling room rose salvage sandy scarlet self service shepherd silver smith son
spaniel square steppe stock stone street strong sure tan tien toy traverse trotter tunis tzu van victoria
violet walker wayson welder white wild world wright yellow young zebu road house city town village avenue
march april june july august
"""
ALSO_NAMES = frozenset(_NAMES.split())


def published() -> set[str]:
    """The words of the table."""
    meanings = [
        meaning for scheme in SCHEMES for codes in concepts[scheme].values() for meaning, _ in codes.values()
    ]
    found = {word for meaning in meanings for word in _words(meaning) if word.islower()}
    for _, _, name, _, _ in DicomDictionary.values():
        found |= {word.lower() for word in _words(name)}
    return found - ALSO_NAMES


def _words(text: str) -> list[str]:
    # A letter outside ASCII is part of a word, so that what stands beside it is not taken for one.
    return [word for word in re.findall(r"[^\W_]+(?:'\w+)?", text) if WORD.fullmatch(word)]


if __name__ == "__main__":
    TABLE.write_text("word\n" + "".join(f"{word}\n" for word in sorted(published())), encoding="ascii")
