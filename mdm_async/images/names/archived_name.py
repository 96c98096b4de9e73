"""The name of an instance that nobody named: by a template, and keyed by its directory's project."""

from mdm_async.dicom.identifiers import linking_values
from mdm_async.dicom.issuers import issued, issuer_of
from mdm_async.images.names.path_template import PathTemplate
from mdm_async.images.reading.served import Served, ServedViews
from mdm_async.names import BASIC, View


def keyed_by(views: ServedViews, default: View) -> Served:
    """The view whose project keys the names in a directory with this default view."""
    served = views.get(default) or views.get(BASIC)
    assert served is not None
    return served


def patient_named_by(patient_id: str, issuer: str) -> str:
    """What a patient's name in paths is made of."""
    return issued(patient_id.encode(), issuer).decode()


def archived_name(template: PathTemplate, served: Served, head: bytes, issued_by: str | None) -> str:
    """The path below the directory. `head`: the original's, or what an archive says of it; `issued_by`: as of
    `issuer_of`. Raises Malformed.
    """
    values = linking_values(head)
    if "PatientID" in values:
        values["PatientID"] = patient_named_by(values["PatientID"], issuer_of(head, issued_by))
    subject = served.mapping.subject_of(head, issued_by) if served.mapping is not None else None
    if subject is not None:
        values["PatientID"] = subject.name
    # A Patient ID that is not mapped could be somebody else's subject.
    return template.fill(values, served.key, () if subject is None else (subject.name,))
