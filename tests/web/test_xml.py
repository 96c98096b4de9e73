"""The reader of XML that strangers send: what it takes, what it refuses, and how little it costs."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from xml.etree.ElementTree import Element, tostring

import pytest

from mdm_async.errors import BadRequest, TooLarge
from mdm_async.web.http import body as bodies
from mdm_async.web.http import xml

MANY = 1 << 18


def read(text: str | bytes, values: int = MANY) -> Element:
    return xml.read(text if isinstance(text, bytes) else text.encode(), values)


def test_elements_attributes_namespaces_and_texts_are_read() -> None:
    root = read(
        '<?xml version="1.0"?><!-- c --><d:a xmlns:d="DAV:" xmlns:x="u" x:k="v" j="&lt;&#65;">t<d:b/>u'
        "<![CDATA[<&]]><?p i?><c/></d:a>"
    )
    assert (root.tag, root.attrib, root.text) == ("{DAV:}a", {"{u}k": "v", "j": "<A"}, "t")
    assert [(one.tag, one.tail) for one in root] == [("{DAV:}b", "u<&"), ("c", None)]
    assert xml.local_name(root) == "a"
    assert b"DAV:" in tostring(root)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "no",
        "{}",
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><b/>",
        "<a b=c/>",
        "<a b='1' b='2'/>",
        "<x:a/>",
        "<a>&none;</a>",
        "<a>&#0;</a>",
        "<a>\x01</a>",
        "<a>]]></a>",
        "<a><!-- -- --></a>",
        b"<a>\xff</a>",
        b"<a>\xc0\xaf</a>",
        "<a/>".encode("utf-32"),
        b"\xef\xbb\xbf\xef\xbb\xbf<a/>",
        b"<a>\0</a>",
    ],
    ids=repr,
)
def test_what_is_not_well_formed_is_refused(text: str | bytes) -> None:
    with pytest.raises(BadRequest):
        read(text)


_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMBS: dict[str, str | bytes] = {
    "billion laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{_LAUGHS}]><a>&l9;</a>',
    "quadratic": f'<!DOCTYPE a [<!ENTITY l "{"x" * 50_000}">]><a>{"&l;" * 50_000}</a>',
    "in an attribute": f'<!DOCTYPE a [<!ENTITY l0 "ha">{_LAUGHS}]><a b="&l9;"/>',
    "a file": '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><a>&f;</a>',
    "a fetch": '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>',
    "a parameter": '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x.dtd">%p;]><a/>',
    "defaults": '<!DOCTYPE a [<!ATTLIST a href CDATA "#x">]><a/>',
    "in UTF-16": '<!DOCTYPE a [<!ENTITY l "x">]><a>&l;</a>'.encode("utf-16"),
    "in another encoding": '<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a [+ADwAIQ-ENTITY l "x">]><a/>',
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=list(BOMBS))
def test_no_document_type_is_taken_and_no_entity_made(bomb: str | bytes) -> None:
    with pytest.raises(BadRequest):
        read(bomb)


def test_a_declared_encoding_changes_nothing() -> None:
    # As UTF-7 this is an element more.
    assert read('<?xml version="1.0" encoding="UTF-7"?><a>+ADw-b/+AD4-</a>').text == "+ADw-b/+AD4-"


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "<a>" + "<b/>" * n + "</a>",
        lambda n: "<a>" + "<b></b>" * n + "</a>",
        lambda n: "<a " + " ".join(f'b{k}="1"' for k in range(n)) + "/>",
        lambda n: "<a " + " ".join(f"b{k}\n=\n'1'" for k in range(n)) + "/>",
        lambda n: "<a>" + '<b c="1"/>' * (n // 2) + "</a>",
        lambda n: "<a " + " ".join(f'xmlns:b{k}="u"' for k in range(n)) + "/>",
    ],
)
def test_more_values_than_may_be_are_refused_before_anything_is_made(make: Callable[[int], str]) -> None:
    assert read(make(900), 1000).tag == "a"
    with pytest.raises(TooLarge):
        read(make(2100), 1000)


def test_elements_and_attributes_are_counted_exactly() -> None:
    for text in ("<a><b/><b/></a>", "<a b='1'><c></c></a>", "<a b='1' c='2'/>"):
        assert read(text, 3).tag == "a"
        with pytest.raises(TooLarge):
            read(text, 2)


def test_nesting_is_bounded() -> None:
    assert read("<a>" * 64 + "</a>" * 64).tag == "a"
    for depth in (65, 100_000):
        with pytest.raises(BadRequest, match="nested"):
            read("<a>" * depth + "</a>" * depth)


def test_a_namespace_is_short_for_it_is_a_part_of_each_name() -> None:
    for prefix in ("x", None):
        named, tag = (f":{prefix}", f"{prefix}:b") if prefix else ("", "b")
        assert len(read(f'<a xmlns{named}="{"u" * 128}">{f"<{tag}/>" * 10}</a>')) == 10
        with pytest.raises(BadRequest, match="namespace"):
            read(f'<a xmlns{named}="{"u" * 129}">{f"<{tag}/>" * 10}</a>')


def test_nothing_that_was_sent_is_told_again() -> None:
    for text in ("<SECRET>", "<a>&SECRET;</a>", "<SECRET:a/>", "SECRET"):
        with pytest.raises(BadRequest) as why:
            read(text)
        assert "SECRET" not in str(why.value)


async def test_long_ones_are_read_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from mdm_async.web.http.house import HOUSE

    threads: list[threading.Thread] = []
    monkeypatch.setattr(bodies.xml, "read", lambda body, values: threads.append(threading.current_thread()))
    with ThreadPoolExecutor(1) as parsing:
        house = SimpleNamespace(
            parsing=parsing, settings=SimpleNamespace(limits=SimpleNamespace(values=MANY))
        )
        request = SimpleNamespace(app={HOUSE: house})
        for size in (100, 1 << 20):
            await bodies.document(request, bytearray(size))  # type: ignore[arg-type]
    assert threads[0] is threading.main_thread()
    assert threads[1] is not threading.main_thread()
