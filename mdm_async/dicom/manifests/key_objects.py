"""A manifest as a Key Object Selection Document (PS3.3 §A.35.4, PS3.16 TID 2010), as IHE's XDS-I.b publishes it.

Its title is (113030, DCM, "Manifest"). Each series says by its Retrieve Location UID which installation has it, and by
its Retrieve URL where WADO-RS finds it.
"""

from typing import Final
from uuid import NAMESPACE_OID, uuid5

from mdm_async.dicom.dictionary import tag_of, vr_of
from mdm_async.dicom.elements import EXPLICIT_LITTLE
from mdm_async.dicom.encode import code, element, item, preamble_and_meta
from mdm_async.dicom.manifests.manifest import Instance, Manifest, Origin, Series, first, uid_of

CLASS: Final = "1.2.840.10008.5.1.4.1.1.88.59"
_EXPLICIT_VR_LITTLE_ENDIAN: Final = b"1.2.840.10008.1.2.1"
_WAVEFORMS: Final = "1.2.840.10008.5.1.4.1.1.9."
_OF_STUDY: Final = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyDescription", "PatientName",
    "PatientID", "PatientBirthDate", "PatientSex", "StudyID",
)  # fmt: skip
"""Told as the view says them, empty where it does not (they are of type 2, but the description)."""


def document(manifest: Manifest, origin: Origin) -> bytes:
    """The file, of text in UTF-8; its series is one of its own."""
    made = manifest.made
    texts = {keyword: first(manifest.said, keyword) for keyword in _OF_STUDY} | {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": CLASS,
        "SOPInstanceUID": manifest.uid,
        "StudyInstanceUID": manifest.study,
        "SeriesInstanceUID": uid_of(uuid5(NAMESPACE_OID, manifest.uid)),
        "Modality": "KO",
        "SeriesNumber": "1",
        "InstanceNumber": "1",
        "ContentDate": made.strftime("%Y%m%d"),
        "ContentTime": made.strftime("%H%M%S"),
        "TimezoneOffsetFromUTC": made.strftime("%z"),
        "Manufacturer": "",
        "ValueType": "CONTAINER",
        "ContinuityOfContent": "SEPARATE",
    }
    found = {tag_of(keyword): _text(keyword, text) for keyword, text in texts.items()}
    sequences = {
        "ReferencedPerformedProcedureStepSequence": b"",
        "ConceptNameCodeSequence": code(b"113030", b"DCM", b"Manifest", EXPLICIT_LITTLE),
        "ContentTemplateSequence": _item(MappingResource="DCMR", TemplateIdentifier="2010"),
        "CurrentRequestedProcedureEvidenceSequence": _evidence(manifest, origin),
        "ContentSequence": b"".join(map(_reference, manifest.instances())),
    }
    found |= {tag_of(keyword): _sequence(keyword, items) for keyword, items in sequences.items()}
    meta = preamble_and_meta(CLASS.encode(), manifest.uid.encode(), _EXPLICIT_VR_LITTLE_ENDIAN)
    return meta + b"".join(found[tag] for tag in sorted(found))


def _evidence(manifest: Manifest, origin: Origin) -> bytes:
    def of_series(series: Series) -> bytes:
        return _item(
            {"ReferencedSOPSequence": b"".join(map(_sop, series.instances))},
            SeriesInstanceUID=series.uid,
            RetrieveLocationUID=origin.location,
            RetrieveURL=f"{origin.base}/studies/{manifest.study}/series/{series.uid}",
        )

    return _item(
        {"ReferencedSeriesSequence": b"".join(map(of_series, manifest.series))},
        StudyInstanceUID=manifest.study,
    )


def _reference(instance: Instance) -> bytes:
    without_pixels = "WAVEFORM" if instance.sop_class.startswith(_WAVEFORMS) else "COMPOSITE"
    kind = "IMAGE" if instance.frames else without_pixels
    return _item({"ReferencedSOPSequence": _sop(instance)}, RelationshipType="CONTAINS", ValueType=kind)


def _sop(instance: Instance) -> bytes:
    return _item(ReferencedSOPClassUID=instance.sop_class, ReferencedSOPInstanceUID=instance.uid)


def _item(sequences: dict[str, bytes] | None = None, /, **texts: str) -> bytes:
    elements = [(tag_of(keyword), _vr(keyword), text.encode()) for keyword, text in texts.items()]
    elements += [(tag_of(keyword), b"SQ", items) for keyword, items in (sequences or {}).items()]
    return item(sorted(elements), EXPLICIT_LITTLE)


def _text(keyword: str, text: str) -> bytes:
    return element(tag_of(keyword), _vr(keyword), text.encode(), EXPLICIT_LITTLE)


def _sequence(keyword: str, items: bytes) -> bytes:
    return element(tag_of(keyword), b"SQ", items, EXPLICIT_LITTLE)


def _vr(keyword: str) -> bytes:
    return vr_of(tag_of(keyword)) or b"UN"
