"""Presentation states that dcmtk has nothing to say against, with drawings and texts."""

import io
from typing import Any

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

GRAYSCALE, COLOR = "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.11.2"
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)


def presentation_state(
    sop_class: str = GRAYSCALE,
    *,
    texts: bool = True,
    drawings: bool = True,
    layers: tuple[str, ...] = ("LAYER1",),
    syntax: str = ExplicitVRLittleEndian,
    undefined: bool = False,
) -> bytes:
    """A file; `undefined`: the lengths of sequences and items are."""
    state = _dataset(
        SOPClassUID=sop_class,
        SOPInstanceUID="1.2.3.4.5.7",
        InstanceCreationDate="20200102",
        StudyDate="20200102",
        StudyTime="101112",
        AccessionNumber="A17",
        Modality="PR",
        Manufacturer="SIEMENS",
        ReferringPhysicianName="House^Gregory",
        ReferencedSeriesSequence=[
            _dataset(SeriesInstanceUID="1.2.3.4.5.8", ReferencedImageSequence=[_image()])
        ],
        PatientName="Smith^John",
        PatientID="4711",
        PatientBirthDate="19600101",
        PatientSex="M",
        StudyInstanceUID="1.2.3.4.5.9",
        SeriesInstanceUID="1.2.3.4.5.10",
        StudyID="1",
        SeriesNumber=1,
        InstanceNumber=1,
        ContentLabel="LABEL",
        ContentDescription="Tumour of Smith",
        PresentationCreationDate="20200102",
        PresentationCreationTime="101112",
        ContentCreatorName="House^Gregory",
        GraphicLayerSequence=[
            _dataset(GraphicLayer=layer, GraphicLayerOrder=order, GraphicLayerDescription="Of Dr House")
            for order, layer in enumerate(layers, 1)
        ],
        GraphicAnnotationSequence=[_annotation(layer, texts=texts, drawings=drawings) for layer in layers],
        DisplayedAreaSelectionSequence=[
            _dataset(
                ReferencedImageSequence=[_image()],
                DisplayedAreaTopLeftHandCorner=[1, 1],
                DisplayedAreaBottomRightHandCorner=[512, 512],
                PresentationSizeMode="SCALE TO FIT",
                PresentationPixelAspectRatio=[1, 1],
            )
        ],
    )
    if sop_class == GRAYSCALE:
        state.SoftcopyVOILUTSequence = [
            _dataset(WindowCenter=40, WindowWidth=400, ReferencedImageSequence=[_image()])
        ]
        state.PresentationLUTShape = "IDENTITY"
    else:
        state.ICCProfile = bytes(128)
    state.file_meta = FileMetaDataset()
    state.file_meta.TransferSyntaxUID = syntax
    for element in state.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = undefined
    file = io.BytesIO()
    dcmwrite(file, state, enforce_file_format=True)
    return file.getvalue()


def _annotation(layer: str, *, texts: bool, drawings: bool) -> Dataset:
    annotation = _dataset(GraphicLayer=layer, ReferencedImageSequence=[_image()])
    if texts:
        annotation.TextObjectSequence = [
            _dataset(
                AnchorPointAnnotationUnits="PIXEL",
                UnformattedTextValue="Tumour of Smith",
                AnchorPoint=[10.0, 10.0],
                AnchorPointVisibility="N",
            )
        ]
    if drawings:
        annotation.GraphicObjectSequence = [
            _dataset(
                GraphicAnnotationUnits="PIXEL",
                GraphicDimensions=2,
                NumberOfGraphicPoints=2,
                GraphicData=[1.0, 1.0, 5.0, 5.0],
                GraphicType="POLYLINE",
                GraphicFilled="N",
            )
        ]
    return annotation


def _image() -> Dataset:
    return _dataset(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID="1.2.3.4.5.6")


def _dataset(**attributes: Any) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made
