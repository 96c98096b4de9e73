"""Whether text may be burned in is judged by all that a file says: through scrub, from a file's first byte."""

import io

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from mdm_async.dicom.profile import PixelRule, Profile, Region
from mdm_async.dicom.profiles.conditions import Condition
from mdm_async.dicom.profiles.kinds import Kind
from mdm_async.errors import ScrubRefused
from tests.pipeline import deidentified, read

STORAGE = "1.2.840.10008.5.1.4.1.1."
CT, MR, SLIDE, RADIOTHERAPY_IMAGE = STORAGE + "2", STORAGE + "4", STORAGE + "77.1.6", STORAGE + "481.1"


def picture(sop_class: str = CT, syntax: UID = ExplicitVRLittleEndian, **attributes: object) -> bytes:
    """A file of one grey frame of two pixels by two; attributes by keyword, None for none."""
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID, image.Modality = sop_class, "1.2.3.4.5", "CT"
    image.SamplesPerPixel, image.PhotometricInterpretation, image.Rows, image.Columns = 1, "MONOCHROME2", 2, 2
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    image.PixelData = b"\1\2\3\4"
    for keyword, value in attributes.items():
        if value is not None:
            setattr(image, keyword, value)
        elif keyword in image:
            del image[keyword]
    if image.SamplesPerPixel == 3:
        image.PlanarConfiguration = 0
        image.PixelData = bytes(12)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = syntax
    written = io.BytesIO()
    image.save_as(written, enforce_file_format=True)
    return written.getvalue()


def refusal(data: bytes, profile: Profile | None = None) -> str:
    """Why there is no view; "" when there is one."""
    try:
        deidentified(data, profile)
    except ScrubRefused as why:
        return str(why)
    return ""


EVIDENCE = {
    "retired ultrasound": ({"sop_class": STORAGE + "6"}, "ultrasound"),
    "ultrasound of a class to come": ({"sop_class": STORAGE + "6.9"}, "ultrasound"),
    "retired multi-frame ultrasound": ({"sop_class": STORAGE + "3"}, "ultrasound"),
    "photoacoustic": ({"sop_class": STORAGE + "6.3"}, "ultrasound"),
    "visible light, trial": ({"sop_class": STORAGE + "77.1"}, "visible light"),
    "visible light, multi-frame, trial": ({"sop_class": STORAGE + "77.2"}, "visible light"),
    "grey hardcopy": ({"sop_class": "1.2.840.10008.5.1.1.29"}, "hardcopy"),
    "colour hardcopy": ({"sop_class": "1.2.840.10008.5.1.1.30"}, "hardcopy"),
    "multi-frame secondary capture": ({"sop_class": STORAGE + "7.2"}, "secondary capture"),
    "a class of the standard that nobody named": ({"sop_class": STORAGE + "601.1"}, "not known to be"),
    "a private class": ({"sop_class": "1.3.12.2.1107.5.9.1"}, "private class"),
    "a private class of ultrasound": ({"sop_class": "1.2.3.4", "Modality": "US"}, "private class"),
    "ultrasound under a class of slices": ({"Modality": "US"}, "ultrasound (Modality)"),
    "another modality": ({"Modality": "OT"}, "another modality (Modality)"),
    "a modality that nobody named": ({"Modality": "XYZ"}, "not known to be of acquisitions (Modality)"),
    "two modalities": ({"Modality": ["CT", "ES"]}, "endoscopy"),
    "a saved screen": ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "a saved screen (ImageType)"),
    "a screen shot": ({"ImageType": ["DERIVED", "SECONDARY", "SCREENSHOT"]}, "a saved screen"),
    "a result": ({"ImageType": ["DERIVED", "SECONDARY", "PERF_RESULTS"]}, "a result page"),
    "a dose report": ({"ImageType": ["DERIVED", "SECONDARY", "DOSE_INFO"]}, "a dose page"),
    "digitised film": ({"sop_class": STORAGE + "12.1", "Modality": "XA", "ConversionType": "DF"}, "film"),
    "a workstation": ({"ConversionType": "WSD"}, "a workstation's screen (ConversionType)"),
    "a scanned document": ({"sop_class": MR, "Modality": "MR", "ConversionType": "SD"}, "scanned document"),
    "a synthetic image": ({"ConversionType": "SYN"}, "a synthetic image"),
    "a conversion of nobody's": ({"ConversionType": "XX"}, "another kind"),
    "a workstation's radiotherapy image": (
        {"sop_class": RADIOTHERAPY_IMAGE, "Modality": "RTIMAGE", "ConversionType": "WSD"},
        "workstation",
    ),
    "a capturing device": ({"SecondaryCaptureDeviceManufacturer": "ACME"}, "a secondary capture device"),
    "a film's digitiser": ({"HardcopyDeviceManufacturer": "ACME"}, "a hardcopy device"),
    "colour": (
        {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3},
        "a colour picture (PhotometricInterpretation)",
    ),
    "ultrasound regions": ({"SequenceOfUltrasoundRegions": [Dataset()]}, "ultrasound (SequenceOf"),
    "no ultrasound regions": ({"SequenceOfUltrasoundRegions": []}, "ultrasound (SequenceOf"),
    "neither yes nor no": ({"BurnedInAnnotation": "MAYBE"}, "neither YES nor NO"),
    "a type too long to be read": ({"ImageType": ["ORIGINAL"] * 200}, "too long to be judged"),
}


@pytest.mark.parametrize("name", EVIDENCE)
def test_each_sign_of_text_is_enough_to_refuse_and_no_lifts_it(name):
    said, reason = EVIDENCE[name]
    assert reason in refusal(picture(**said))
    assert "pixel rule" in refusal(picture(**said))
    lifted = refusal(picture(**{**said, "BurnedInAnnotation": "NO"}))
    assert "without Burned In Annotation NO" not in lifted
    assert lifted == "" or "a known kind" in lifted or "too long" in lifted


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"Modality": None},
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {"ImageType": ["DERIVED", "SECONDARY", "PROJECTION IMAGE"]},
        {"ImageType": ["DERIVED", "SECONDARY", "MPR", "CSA MPR", "", "CSAPARALLEL", "M", "ND", "NORM"]},
        {"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CURVED_REFORMAT"]},
        {"sop_class": MR, "Modality": "MR", "ImageType": ["DERIVED", "PRIMARY", "ADC", "TEXTURE"]},
        {"sop_class": RADIOTHERAPY_IMAGE, "Modality": "RTIMAGE", "ConversionType": "DI"},
        {
            "sop_class": RADIOTHERAPY_IMAGE,
            "Modality": "RTIMAGE",
            "ImageType": ["DERIVED", "SECONDARY", "RADIOGRAPH"],
        },
        {
            "sop_class": STORAGE + "66.4",
            "Modality": "SEG",
            "ImageType": ["DERIVED", "PRIMARY", "LABELMAP"],
        },
        {"sop_class": STORAGE + "481.2", "Modality": "RTDOSE"},
        {"sop_class": STORAGE + "4.3", "Modality": "MR", "PhotometricInterpretation": "RGB"}
        | {"SamplesPerPixel": 3},
        {"SecondaryCaptureDeviceManufacturer": ""},
    ],
)
def test_acquisitions_and_what_is_computed_of_them_pass(said):
    assert refusal(picture(**said)) == ""


@pytest.mark.parametrize("kind", ["LABEL", "OVERVIEW", "MACRO", "LOCALIZER"])
@pytest.mark.parametrize("said", [{}, {"BurnedInAnnotation": "NO"}])
def test_a_slides_label_is_never_served_whatever_the_file_says(kind, said):
    slide = {"sop_class": SLIDE, "Modality": "SM", **said}
    assert "slide label" in refusal(picture(**slide, ImageType=["ORIGINAL", "PRIMARY", kind, "NONE"]))
    trusting = Profile("p", pixel_rules=(PixelRule(((0x00080060, "SM"),), trust=True),))
    assert "slide label" in refusal(picture(**slide, ImageType=["DERIVED", "PRIMARY", kind]), trusting)
    everything = Profile("p", pixel_rules=(PixelRule(((0x00080008, "*"),), trust=True),))
    assert "slide label" in refusal(picture(**slide, ImageType=["DERIVED", "PRIMARY", kind]), everything)
    volume = picture(**slide, ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "RESAMPLED"])
    assert refusal(volume, trusting) == ""


def test_a_pixel_rule_that_asks_for_the_image_type_answers_for_labels_too():
    macro = picture(SLIDE, Modality="SM", ImageType=["DERIVED", "PRIMARY", "OVERVIEW", "NONE"])
    knowing = Profile("p", pixel_rules=(PixelRule(((0x00080008, "*OVERVIEW*"),), trust=True),))
    assert refusal(macro, knowing) == ""


def test_a_slide_with_its_label_in_the_picture_is_refused():
    said = {"sop_class": SLIDE, "Modality": "SM", "BurnedInAnnotation": "NO"}
    labelled = picture(**said, ImageType=["ORIGINAL", "PRIMARY", "VOLUME"], SpecimenLabelInImage="YES")
    assert "slide label" in refusal(labelled)
    assert refusal(picture(**said, ImageType=["ORIGINAL", "PRIMARY", "VOLUME"])) == ""


def test_a_label_can_be_released_by_somebody_who_has_looked():
    label = picture(SLIDE, Modality="SM", ImageType=["ORIGINAL", "PRIMARY", "LABEL"])
    with pytest.raises(ScrubRefused) as refused:
        deidentified(label, Profile("p", burned_in="quarantine"))
    assert refused.value.quarantined


@pytest.mark.parametrize(
    ("keyword", "first", "second"),
    [
        ("Modality", "US", "CT"),
        ("ImageType", "DERIVED\\SECONDARY\\SCREEN SAVE", "ORIGINAL\\PRIMARY\\AXIAL"),
        ("ConversionType", "WSD", ""),
        ("BurnedInAnnotation", "YES", "NO"),
    ],
)
def test_an_element_that_is_there_twice_counts_twice_and_what_comes_after_the_pixels_too(
    write, keyword, first, second
):
    tag = Dataset()
    setattr(tag, keyword, "")
    (element,) = tag
    once, again = (write.element(int(element.tag), "CS", one.encode()) for one in (first, second))
    plain = picture(Modality=None) if keyword == "Modality" else picture()
    at = plain.index(b"\x28\x00\x02\x00US")
    for pair in (once + again, again + once):
        assert "burned in" in refusal(plain[:at] + pair + plain[at:]).lower()
    assert refusal(plain[:at] + again + plain[at:]) == ""
    assert "burned in" in refusal(plain[:at] + again + plain[at:] + once).lower()


def test_what_says_nothing_of_pixels_is_not_asked_about_them():
    report = dcmread(io.BytesIO(picture("1.2.3.4.5.6", Modality="SR")))
    del report.PixelData
    written = io.BytesIO()
    report.save_as(written)
    assert read(deidentified(written.getvalue())).Modality == "SR"


NO = {"BurnedInAnnotation": "NO"}
KINDS = {
    "a dose report of GE": ({"SeriesDescription": "Dose Report"}, "dose report"),
    "a dose report of Philips": ({"ImageType": ["DERIVED", "SECONDARY", "DOSE_INFO"]}, "dose report"),
    "a dose report of Canon": ({"SeriesDescription": "CT_DOSE_SUMMARY"}, "dose report"),
    "a patient protocol": ({"SeriesDescription": "Patient Protocol"}, "patient protocol"),
    "a protocol of Siemens": (
        {"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]},
        "patient protocol",
    ),
    "a saved screen": ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "saved screen"),
    "a report of Siemens": ({"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CSA REPORT"]}, "report page"),
    "a result of Siemens": ({"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CSA RESULT"]}, "result page"),
    "a page of perfusion": ({"SeriesDescription": "RAPID Perfusion Summary"}, "result page of perfusion"),
    "a page by its maker": ({"Manufacturer": "iSchemaView, Inc."}, "result page of perfusion"),
    "a page of detection": ({"SeriesDescription": "Lung CAD results"}, "computer-aided detection page"),
    "paper": ({"SeriesDescription": "scanned referral"}, "scanned paper"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_known_kind_is_refused_though_it_says_that_nothing_is_burned_in(name):
    said, kind = KINDS[name]
    for more in ({}, NO):
        reason = refusal(picture(**{"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], **said, **more}))
        assert f"{kind} (a known kind, by {next(iter(said))}:" in reason


@pytest.mark.parametrize(
    "said",
    [
        "Low Dose Lung 1.0",
        "HEAD STROKE PROTOCOL",
        "PERFUSION CBF",
        "CARDIAC CAD",
        "Results of B1 mapping",
        "",
    ],
)
def test_series_that_only_sound_like_a_known_kind_pass(said):
    assert refusal(picture(SeriesDescription=said)) == ""


def test_what_is_too_long_to_be_judged_hides_no_kind(write):
    long = write.element(0x0008103E, "LO", b"x" * 2000 + b"Dose Report")
    plain = picture(**NO)
    at = plain.index(b"\x28\x00\x02\x00US")
    assert "too long to be judged (SeriesDescription)" in refusal(plain[:at] + long + plain[at:])
    hidden = picture(**NO, ImageType=["ORIGINAL"] * 200 + ["SCREEN SAVE"])
    assert "too long to be judged (ImageType)" in refusal(hidden)


def test_a_rule_about_a_device_does_not_let_its_pages_through_but_one_about_such_pages_does():
    page = picture(**NO, SeriesDescription="Dose Report", Manufacturer="ACME")
    maker, description = (0x00080070, "ACME"), (0x0008103E, "Dose*")
    by_maker, by_both = PixelRule((maker,), trust=True), PixelRule((maker, description), trust=True)
    assert "dose report" in refusal(page, Profile("p", pixel_rules=(by_maker,)))
    assert refusal(page, Profile("p", pixel_rules=(by_both,))) == ""
    beside = PixelRule((description,), blank=(Region(9, 9, 9, 9),))
    assert "dose report" in refusal(page, Profile("p", pixel_rules=(by_maker, beside)))


def test_a_site_has_kinds_of_its_own():
    kind = Kind("worklist page", Condition(((0x00080008, ("WORKLIST",)), (0x00080070, ("acme*",)))))
    of_site = Profile("p", burned_in="quarantine", kinds=(kind,))
    said = {"Manufacturer": "ACME Inc", **NO}
    page = picture(ImageType=["DERIVED", "PRIMARY", "WORKLIST"], **said)
    assert "worklist page (a known kind, by ImageType, Manufacturer:" in refusal(page, of_site)
    assert refusal(page) == ""
    assert refusal(picture(ImageType=["DERIVED", "PRIMARY", "AXIAL"], **said), of_site) == ""


def test_one_of_two_elements_is_enough_for_a_kind(write):
    descriptions = [write.element(0x0008103E, "LO", one) for one in (b"Dose Report", b"Thorax")]
    plain = picture(**NO)
    at = plain.index(b"\x28\x00\x02\x00US")
    for pair in (descriptions, descriptions[::-1]):
        assert "dose report" in refusal(plain[:at] + b"".join(pair) + plain[at:])
    assert refusal(plain[:at] + descriptions[1] + plain[at:]) == ""
    assert "dose report" in refusal(plain[:at] + descriptions[1] + plain[at:] + descriptions[0])


@pytest.mark.parametrize("groups", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
def test_the_type_of_some_frames_is_that_of_the_picture(groups):
    def enhanced(*types: str) -> bytes:
        frame, kind = Dataset(), Dataset()
        kind.FrameType = list(types)
        frame.CTImageFrameTypeSequence = [kind]
        said = {groups: [frame], "ImageType": ["DERIVED", "PRIMARY", "AXIAL", "MIXED"]}
        return picture(STORAGE + "2.1", **said)

    assert refusal(enhanced("DERIVED", "PRIMARY", "AXIAL")) == ""
    said = refusal(enhanced("DERIVED", "SECONDARY", "SCREEN SAVE"))
    assert "a saved screen (ImageType) without" in said
    assert "saved screen (a known kind, by ImageType:" in said
