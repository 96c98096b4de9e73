"""Which properties a PROPFIND asks for (RFC 4918 §14.20)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from xml.etree.ElementTree import Element

from mdm_async.errors import BadRequest, TooLarge
from mdm_async.web.dav.properties import Property

_MOST = 256
"""Named in one request: each is told of with every entry."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`names`: these, be they known or not; None: all that are known. `values`: not the names alone."""

    names: tuple[Property, ...] | None = None
    values: bool = True

    @classmethod
    def of(cls, document: Element | None) -> Self:
        """Raises BadRequest, TooLarge."""
        if document is None:
            return cls()
        told = {child.tag.removeprefix("{DAV:}"): child for child in document}
        forms = told.keys() & {"prop", "allprop", "propname"}
        if len(forms) != 1:
            raise BadRequest("a DAV:propfind has one of DAV:prop, DAV:allprop and DAV:propname")
        if "prop" in forms:
            return cls(_names(told["prop"]))
        return cls(values="allprop" in forms)

    def chosen(
        self, known: Mapping[Property, str], unknown: Mapping[Property, int]
    ) -> dict[int, dict[Property, str]]:
        """By status, from what is known of an entry; `unknown`: why others are not known, beside 404."""
        if self.names is None:
            return {200: dict(known) if self.values else dict.fromkeys(known, "")}
        chosen: dict[int, dict[Property, str]] = {}
        for name in self.names:
            if name in known:
                chosen.setdefault(200, {})[name] = known[name]
            else:
                chosen.setdefault(unknown.get(name, 404), {})[name] = ""
        return chosen or {200: {}}


def _names(prop: Element) -> tuple[Property, ...]:
    names = dict.fromkeys(Property.of(child.tag) for child in prop)
    if len(names) > _MOST:
        raise TooLarge(f"a request may ask for {_MOST} properties at the most", remedy="ask for all of them")
    return tuple(names)
