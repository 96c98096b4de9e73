"""What comes of reading a file of another program: a profile, and a list of what could not be said in it."""

from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.profile import Profile
from mdm_async.dicom.profiles.file import dump_profile

_SHOWN: Final = 160
"""Characters of a line that are quoted."""


@dataclass(frozen=True, slots=True)
class Untranslated:
    """A part of the file that the profile does not say."""

    line: int
    """Where it begins, from 1."""
    text: str
    why: str

    def __str__(self) -> str:
        """In one line of ASCII, for a comment and for a terminal."""
        quoted = " ".join(self.text.split()).encode("ascii", "replace").decode()
        quoted = "".join(letter if letter.isprintable() else "?" for letter in quoted)
        quoted = quoted if len(quoted) <= _SHOWN else quoted[:_SHOWN] + "..."
        return f"line {self.line}: {quoted}: {self.why}"


@dataclass(frozen=True, slots=True)
class Imported:
    """A profile that says what could be said."""

    profile: Profile
    untranslated: tuple[Untranslated, ...]

    @property
    def toml(self) -> str:
        """A profile file, with the rest as comments."""
        comments = [f"# not translated, {each}\n" for each in self.untranslated]
        return "".join((*comments, *(["\n"] if comments else []), dump_profile(self.profile)))
