"""Units of the Unified Code for Units of Measure: whether a code can be one."""

import re
from typing import Final

from mdm_async.dicom.values.vocabulary import nameless_words

_ATOM_LINES: Final = """
    m s g rad K C cd mol sr Hz N Pa J W A V F Ohm S Wb T H lm lx Bq Gy Sv kat Cel L l t u eV pc ar bar Np B dB Ci R RAD
    REM Gal dyn erg P St Mx G Oe Gb sb ph eq osm U min h d wk mo a deg gon st cal pH 10* 10^ %
    [pi] [ppth] [ppm] [ppb] [pptr] [iU] [IU] [arb'U] [USP'U] [beth'U] [anti'Xa'U] [hnsf'U] [PFU] [CFU] [HPF] [LPF]
    [in_i] [ft_i] [yd_i] [mi_i] [lb_av] [oz_av] [degF] [diop] [Ch] [g] [c] [h] [k] [e] [m_e] [APL'U] [GPL'U] [MPL'U]
    [S] [D'ag'U] [ELU] [EU] [Ao] [psi] [Cal] m[H2O] m[Hg] [p'diop] [car_m] [drp] [tsp_us] [tbs_us] [cup_us] B[SPL] B[V]
"""
_ATOMS: Final = frozenset(_ATOM_LINES.split())
_PREFIXES: Final = (
    "Y",
    "Z",
    "E",
    "P",
    "T",
    "G",
    "M",
    "k",
    "h",
    "da",
    "d",
    "c",
    "m",
    "u",
    "n",
    "p",
    "f",
    "a",
    "",
)
_TERM: Final = re.compile(r"(?P<unit>[^{}]*?)(?P<power>[+-]?\d{1,2})?(?P<said>\{[^{}]*\})?")
_SAID: Final = frozenset({"suvbw", "suvlbm", "suvbsa", "suvibw", "suv", "hu", "od", "us", "ef", "rgb"})
_NUMBER: Final = re.compile(r"\d{1,3}|10[*^][+-]?\d{1,2}")
_SCALE: Final = re.compile(r"10{1,3}(?=[a-zA-Z])")
"""As in ml/100g/min."""
_WORD: Final = re.compile(r"[A-Za-z]+")
_LONGEST: Final = 32


def is_unit(value: bytes) -> bool:
    """Whether a value is made of units with prefixes and powers, and says nothing else in its annotations."""
    if not value.isascii() or not 0 < len(value) <= _LONGEST:
        return False
    terms = re.split(r"[./](?![^{]*\})", value.decode("ascii"))
    # Numbers multiplied with each other are no unit, but may be a day or a telephone number.
    return all(map(_is_term, terms)) and sum(term.isdigit() for term in terms) <= 1


def _is_term(term: str) -> bool:
    found = _TERM.fullmatch(term)
    if found is None:
        return _NUMBER.fullmatch(term) is not None
    unit, said = _SCALE.sub("", found["unit"], count=1), found["said"] or ""
    if re.search(r"\d{3}", said) or not _known(said):
        return False
    if not unit and not found["power"]:
        return bool(said)
    if _NUMBER.fullmatch(unit + (found["power"] or "")):
        return True
    return any(unit.startswith(prefix) and unit[len(prefix) :] in _ATOMS for prefix in _PREFIXES)


def _known(said: str) -> bool:
    return all(word in nameless_words() or word in _SAID for word in _WORD.findall(said.lower()))
