"""A manifest in FHIR R4: IHE's Manifest-based Access to DICOM Objects (MADO), trial-use version 1.0.0.

A document Bundle of a Composition, the ImagingStudy, its Patient, the WADO-RS Endpoint, and who made it. Of the media
types that the profile lists for the endpoint only those are named that are served here.
"""

import html
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import orjson

from mdm_async.dicom.manifests.manifest import Instance, Manifest, Origin, Series, first

KIND: Final = "application/fhir+json"
VERSION: Final = "1.0.0"
_MADO: Final = "https://profiles.ihe.net/RAD/MADO"
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_UIDS: Final = "urn:dicom:uid"
_RFC: Final = "urn:ietf:rfc:3986"
_SEXES: Final = {"M": "male", "F": "female", "O": "other"}
_SERVED: Final = ("application/dicom", "application/octet-stream", "application/json")

Json = dict[str, Any]


def document(manifest: Manifest, origin: Origin) -> bytes:
    made = manifest.made.isoformat(timespec="milliseconds")
    resources = [
        _composition(manifest, made),
        _study(manifest),
        _patient(manifest),
        _endpoint(origin),
        _device(manifest),
        _organization(origin),
    ]
    return orjson.dumps(
        {
            "resourceType": "Bundle",
            "meta": {"profile": [f"{_MADO}/StructureDefinition/MadoFhirBundle|{VERSION}"]},
            "identifier": {"system": _RFC, "value": f"urn:oid:{manifest.uid}"},
            "type": "document",
            "timestamp": made,
            "entry": [
                {"fullUrl": _url(manifest, one["resourceType"]), "resource": _known(one)} for one in resources
            ],
        }
    )


def _composition(manifest: Manifest, made: str) -> Json:
    count = sum(len(series.instances) for series in manifest.series)
    title = f"Imaging manifest of study {manifest.study}"
    told = html.escape(f"{title}: {len(manifest.series)} series, {count} instances")
    return {
        "resourceType": "Composition",
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{told}</div>'},
        "identifier": {"system": _RFC, "value": f"urn:oid:{manifest.uid}"},
        "status": "final",
        "type": {
            "coding": [
                {"system": "http://loinc.org", "code": "18748-4", "display": "Diagnostic imaging study"}
            ]
        },
        "subject": _to(manifest, "Patient"),
        "date": made,
        "author": [_to(manifest, "Device"), _to(manifest, "Organization")],
        "title": title,
        "event": [{"detail": [_to(manifest, "ImagingStudy")]}],
    }


def _study(manifest: Manifest) -> Json:
    modalities = sorted({first(series.said, "Modality") for series in manifest.series} - {""})
    description = first(manifest.said, "StudyDescription")
    return {
        "resourceType": "ImagingStudy",
        "identifier": [
            {
                "type": {"coding": [{"system": _DCM, "code": "110180", "display": "Study Instance UID"}]},
                "system": _UIDS,
                "value": f"urn:oid:{manifest.study}",
            }
        ],
        "status": "available",
        "modality": [{"system": _DCM, "code": one} for one in modalities],
        "subject": _to(manifest, "Patient"),
        "started": _date(first(manifest.said, "StudyDate")),
        "numberOfSeries": len(manifest.series),
        "numberOfInstances": sum(len(series.instances) for series in manifest.series),
        "procedureCode": [{"text": description or "Imaging study"}],
        "description": description,
        "series": [_known(_series(manifest, one)) for one in manifest.series],
    }


def _series(manifest: Manifest, series: Series) -> Json:
    return {
        "uid": series.uid,
        "number": _number(first(series.said, "SeriesNumber")),
        "modality": {"system": _DCM, "code": first(series.said, "Modality") or "OT"},
        "description": first(series.said, "SeriesDescription"),
        "numberOfInstances": len(series.instances),
        "endpoint": [_to(manifest, "Endpoint")],
        "started": _date(first(series.said, "SeriesDate")),
        "instance": [_known(_instance(one)) for one in series.instances],
    }


def _instance(instance: Instance) -> Json:
    frames = {"url": f"{_MADO}/StructureDefinition/MadoNumberOfFrames", "valueInteger": instance.frames}
    return {
        "extension": [frames] if instance.frames > 1 else [],
        "uid": instance.uid,
        "sopClass": {"system": _RFC, "code": f"urn:oid:{instance.sop_class}"},
        "number": _number(instance.number),
    }


def _patient(manifest: Manifest) -> Json:
    name, number = first(manifest.said, "PatientName"), first(manifest.said, "PatientID")
    return {
        "resourceType": "Patient",
        "identifier": [{"value": number}] if number else [],
        "name": [{"text": name}] if name else [],
        "gender": _SEXES.get(first(manifest.said, "PatientSex"), "unknown"),
        "birthDate": _date(first(manifest.said, "PatientBirthDate")),
    }


def _endpoint(origin: Origin) -> Json:
    return {
        "resourceType": "Endpoint",
        "extension": [
            {
                "url": f"{_MADO}/StructureDefinition/MadoRetrieveLocationUIDExtension",
                "valueString": origin.location,
            }
        ],
        "status": "active",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "dicom-wado-rs",
            "display": "DICOM WADO-RS",
        },
        "payloadType": [{"text": "DICOM WADO-RS"}],
        "payloadMimeType": list(_SERVED),
        "address": origin.base,
    }


def _device(manifest: Manifest) -> Json:
    creator = {"system": f"{_MADO}/CodeSystem/MadoDeviceType", "code": "mado-creator"}
    return {
        "resourceType": "Device",
        "manufacturer": "mdm_async",
        "type": {"coding": [creator]},
        "owner": _to(manifest, "Organization"),
    }


def _organization(origin: Origin) -> Json:
    return {
        "resourceType": "Organization",
        "identifier": [{"system": _RFC, "value": f"urn:oid:{origin.location}"}],
        "name": f"Medical Data Manager {origin.location}",
    }


def _url(manifest: Manifest, kind: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'{manifest.uid}/{kind}')}"


def _to(manifest: Manifest, kind: str) -> Json:
    return {"reference": _url(manifest, kind), "type": kind}


def _known(resource: Json) -> Json:
    """Without what is not known: nothing is empty in FHIR."""
    return {name: value for name, value in resource.items() if value not in (None, "", [])}


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _date(text: str) -> str | None:
    """A date of DICOM (PS3.5 §6.2) as FHIR writes it."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdecimal() else None
