"""Names beside that which a template makes: of an instance whose own name is taken, and of one that somebody moved."""

from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.names import Lfn, parse_lfn, split


def beside(lfn: Lfn, sha256: str, key: bytes) -> Lfn:
    """The name of an instance whose own name other bytes have: always the same one for the same bytes."""
    directory, name = split(lfn)
    stem, dot, suffix = name.rpartition(".")
    other = Pseudonyms(key).identifier("path bytes", sha256.encode()).decode()
    return parse_lfn(f"{directory}/{stem}.{other}.{suffix}" if dot else f"{directory}/{name}.{other}")


def chosen_in(kept: Lfn, made: Lfn) -> str | None:
    """What of the name that a file has people may have chosen: all but what the template has `made`; None: nothing."""
    ours, name = set(made.split("/")), split(made)[1]
    stem = name.rpartition(".")[0] or name
    said = ["-" if part in ours else part.replace(stem, "-") for part in kept.split("/")]
    return "/".join(said) if set(said) != {"-"} else None
