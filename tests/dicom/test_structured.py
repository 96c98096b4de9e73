"""Structured reports: a dummy without the option; with it, each content item by what it holds, at any depth."""

from mdm_async.dicom.profile import Profile
from mdm_async.dicom.pseudonym import Pseudonyms
from mdm_async.dicom.scrub import PixelFacts, scrub
from tests.pipeline import read

KEY = bytes(range(32))
NO_PIXELS = PixelFacts(False, 0, False, ())


def scrubbed(data: bytes, *options: str):
    made = scrub(data, b"", profile=Profile("sr", options=frozenset(options)), key=KEY, pixels=NO_PIXELS)
    assert b"MEYER" not in made.head.upper()
    return read(made.head)


def item(write, kind: str, body: bytes, *, scheme: bytes = b"DCM") -> bytes:
    name = write.element(0x00080100, "SH", b"121071") + write.element(0x00080102, "SH", scheme)
    name += write.element(0x00080104, "LO", b"Finding")
    return (
        write.element(0x0040A010, "CS", b"CONTAINS")
        + write.element(0x0040A040, "CS", kind.encode())
        + write.sequence(0x0040A043, name)
        + body
    )


def report(write) -> bytes:
    reference = write.element(0x00081150, "UI", b"1.2.840.10008.5.1.4.1.1.2")
    reference += write.element(0x00081155, "UI", b"1.2.3.9")
    number = write.element(0x0040A30A, "DS", b"17.5")
    text = item(write, "TEXT", write.element(0x0040A160, "UT", b"Lesion of the lung of Meyer"))
    content = (
        text,
        item(write, "PNAME", write.element(0x0040A123, "PN", b"MEYER^HANS")),
        item(write, "DATE", write.element(0x0040A121, "DA", b"20240101")),
        item(write, "DATETIME", write.element(0x0040A120, "DT", b"20240101101112")),
        item(write, "TIME", write.element(0x0040A122, "TM", b"101112")),
        item(write, "UIDREF", write.element(0x0040A124, "UI", b"1.2.3.8")),
        item(write, "IMAGE", write.sequence(0x00081199, reference)),
        item(write, "NUM", write.sequence(0x0040A300, number)),
        item(write, "SCOORD", write.element(0x00700022, "FL", bytes(8))),
        item(write, "GOSSIP", write.element(0x0040A30A, "DS", b"1")),
        item(write, "CONTAINER", write.sequence(0x0040A730, text)),
    )
    body = write.element(0x00100020, "LO", b"17") + write.sequence(0x0040A730, *content, undefined=True)
    observer = write.element(0x0040A075, "PN", b"MEYER^HANS")
    return write.file(write.sequence(0x0040A073, observer) + body, sop_class="88.33")


def test_without_the_option_the_report_is_one_dummy(write):
    found = scrubbed(report(write), "clean_descriptors")
    assert [one.ValueType for one in found.ContentSequence] == ["TEXT"]
    assert found.ContentSequence[0].TextValue == "REMOVED"


def test_content_items_by_what_they_hold(write):
    found = scrubbed(report(write), "clean_structured_content")
    items = {one.ValueType: one for one in found.ContentSequence}
    assert "GOSSIP" not in items
    assert len(items) == 10
    assert items["TEXT"].TextValue == "REMOVED"
    assert items["PNAME"].PersonName == "Removed^"
    assert (items["DATE"].Date, items["TIME"].Time) == ("19000101", "000000")
    assert items["DATETIME"].DateTime == "19000101000000"
    assert Pseudonyms(KEY).uid("1.2.3.8") == items["UIDREF"].UID
    referenced = items["IMAGE"].ReferencedSOPSequence[0]
    assert referenced.ReferencedSOPInstanceUID == Pseudonyms(KEY).uid("1.2.3.9")
    assert referenced.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert items["NUM"].MeasuredValueSequence[0].NumericValue == 17.5
    assert items["SCOORD"].GraphicData == [0, 0]
    assert items["NUM"].ConceptNameCodeSequence[0].CodeMeaning == "Finding"
    assert items["CONTAINER"].ContentSequence[0].TextValue == "REMOVED"
    (observer,) = found.VerifyingObserverSequence
    assert (observer.VerifyingObserverName, observer.VerifyingOrganization) == ("Removed^", "REMOVED")
    assert len(observer.VerifyingObserverIdentificationCodeSequence) == 0
    assert [code.CodeValue for code in found.DeidentificationMethodCodeSequence] == ["113100", "113104"]


def test_texts_keep_known_words_and_dates_are_moved_when_that_is_chosen(write):
    options = ("clean_structured_content", "clean_descriptors", "retain_longitudinal_modified_dates")
    found = scrubbed(report(write), *options)
    items = {one.ValueType: one for one in found.ContentSequence}
    assert items["TEXT"].TextValue == "Lesion of the lung of"
    assert items["CONTAINER"].ContentSequence[0].TextValue == "Lesion of the lung of"
    assert items["DATE"].Date not in ("20240101", "19000101")
    assert items["DATETIME"].DateTime == items["DATE"].Date + "101112"
    assert items["TIME"].Time == "101112"


def test_full_dates_stay_in_reports(write):
    found = scrubbed(report(write), "clean_structured_content", "retain_longitudinal_full_dates")
    assert {one.ValueType: one for one in found.ContentSequence}["DATE"].Date == "20240101"


def test_text_values_outside_of_reports_are_free_text_too(write):
    body = write.sequence(0x00400440, item(write, "TEXT", write.element(0x0040A160, "UT", b"head of Meyer")))
    assert scrubbed(write.file(body)).ProtocolContextSequence[0].TextValue == "REMOVED"
    found = scrubbed(write.file(body), "clean_descriptors")
    assert found.ProtocolContextSequence[0].TextValue == "head of"


def test_an_item_that_is_dropped_leaves_the_lengths_right(write):
    gossip = item(write, "GOSSIP", write.element(0x0040A160, "UT", b"Meyer"))
    number = item(write, "NUM", write.sequence(0x0040A300, write.element(0x0040A30A, "DS", b"1 ")))
    for undefined in (False, True):
        inner = write.sequence(0x0040A730, gossip, number, gossip, undefined=undefined)
        data = write.file(write.sequence(0x00082218, inner, inner) + write.element(0x00280010, "US", b"\1\0"))
        found = scrubbed(data, "clean_structured_content")
        assert found.Rows == 1
        assert [len(one.ContentSequence) for one in found.AnatomicRegionSequence] == [1, 1]
        assert found.AnatomicRegionSequence[0].ContentSequence[0].ValueType == "NUM"
