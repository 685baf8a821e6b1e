"""Write masks as DICOM SEG and numbers about them as a TID 1500 structured report."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kypho.errors import LabelsError
from kypho.formats.ct import CtInput
from kypho.formats.dicom_source import private_headers, stable_uid
from kypho.space import Grid

__all__ = ["ReportGroup", "ReportNumber", "SegmentMask", "level_code", "write_seg", "write_sr"]

PRIVATE_SCHEME = "99KYPHO"
DISCLAIMER = "Research and education; not a medical device"

Code = tuple[str, str, str]
"""Value, coding scheme designator, meaning."""

METHOD: Code = ("RULE_BASED", PRIVATE_SCHEME, "Rule-based image analysis")


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentMask:
    """One segment of a SEG.

    Attributes:
        label: shown by viewers, at most 64 characters: "T7 cement".
        mask: boolean ``[k, j, i]`` on the CT's grid.
        code: what it is. Private codes use the scheme 99KYPHO and at most 16 characters.
        is_anatomy: False for cement, needles and other objects.
        colour: red, green, blue, 0 to 255; bright, since viewers drop dark colours.
        level: vertebral level, for the anatomic region.
    """

    label: str
    mask: NDArray[np.bool_]
    code: Code
    is_anatomy: bool
    colour: tuple[int, int, int]
    level: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReportNumber:
    """One number of a report: what it is, its value and UCUM unit ("mL", "mm", "%", "1")."""

    code: Code
    value: float
    unit: str


@dataclass(frozen=True, kw_only=True)
class ReportGroup:
    """What a report says about one segment.

    Attributes:
        tracking: name of the thing followed, the same in later reports: "T7 cement".
        segment_number: from 1, in the SEG.
        finding: what it is.
        level: vertebral level, for the finding site.
        numbers: measurements.
        statements: question and answer codes, such as side or route.
    """

    tracking: str
    segment_number: int
    finding: Code
    level: str
    numbers: tuple[ReportNumber, ...]
    statements: tuple[tuple[Code, Code], ...] = ()


def level_code(level: str) -> Code:
    """SNOMED CT code of a vertebra, or a private one for T13 and L6, which it lacks."""
    from pydicom.sr.codedict import codes

    try:
        found = getattr(codes.SCT, f"{level}Vertebra")
    except AttributeError:
        return (f"VERTEBRA_{level}", PRIVATE_SCHEME, f"{level} vertebra")
    return (found.value, "SCT", found.meaning)


def write_seg(
    path: Path, ct: CtInput, segments: Sequence[SegmentMask], *, description: str, keep_identity: bool = False
) -> Any:
    """Write masks as a binary DICOM SEG in the CT's study and frame of reference; returns the dataset.

    Segments without a voxel are left out (viewers hang on them), the others numbered from 1 in their order.
    Masks of objects may overlap anatomy; write them as two files if a viewer must show both.

    Args:
        path: file to write.
        ct: from DICOM, or completed by `with_dicom_series`.
        segments: masks on the CT's grid.
        description: series description, without anything about the patient.
        keep_identity: copy the patient and study attributes, so that an archive files it with its study.

    Raises:
        LabelsError: every mask is empty.
        GridMismatchError: a mask of another shape.
    """
    import highdicom

    filled = [segment for segment in segments if segment.mask.any()]
    if not filled:
        raise LabelsError(f"{path.name}: every segment is empty, so there is nothing to write")
    for segment in filled:
        ct.volume.like(segment.mask, "label")
    first, last = _slices_used(filled)
    stacked = np.stack([segment.mask[first:last] for segment in filled], axis=-1)
    digest = stable_uid(
        ct.sha256, description, *(s.label for s in filled), hashlib.sha256(stacked.tobytes()).hexdigest()
    )
    headers = private_headers(ct, keep_identity=keep_identity)
    segmentation = highdicom.seg.Segmentation(
        source_images=headers,
        pixel_array=_highdicom_volume(stacked.astype(np.uint8), _rows(ct.volume.grid, first, last), headers),
        segmentation_type="BINARY",
        segment_descriptions=[_described(n, segment) for n, segment in enumerate(filled, start=1)],
        series_instance_uid=stable_uid(digest, "series"),
        series_number=900,
        sop_instance_uid=stable_uid(digest, "instance"),
        instance_number=1,
        manufacturer="kypho",
        manufacturer_model_name="kypho",
        software_versions=version("kypho"),
        device_serial_number="0",
        content_label="KYPHO",
        content_description=DISCLAIMER,
        series_description=description,
    )
    _declare_private_scheme(segmentation)
    segmentation.save_as(path)
    return segmentation


def _slices_used(segments: Sequence[SegmentMask]) -> tuple[int, int]:
    used = np.flatnonzero(np.any([s.mask.any(axis=(1, 2)) for s in segments], axis=0))
    return int(used[0]), int(used[-1]) + 1


def _rows(grid: Grid, first: int, last: int) -> Grid:
    return grid.crop((first, 0, 0), (last, *grid.shape[1:]))


def _highdicom_volume(stacked: NDArray[np.uint8], grid: Grid, headers: list[Any]) -> Any:
    """Masks with the place they stand for, so that no order of files or frames can move them."""
    import highdicom

    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = grid.matrix, grid.origin_mm
    return highdicom.Volume(
        stacked,
        affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=str(headers[0].FrameOfReferenceUID),
        channels={"SegmentNumber": list(range(1, stacked.shape[-1] + 1))},
    )


def _concept(code: Code) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(code[0], code[1], code[2])


def _described(number: int, segment: SegmentMask) -> Any:
    import highdicom
    from pydicom.sr.codedict import codes

    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.label[:64],
        segmented_property_category=(
            codes.SCT.AnatomicalStructure if segment.is_anatomy else codes.SCT.PhysicalObject
        ),
        segmented_property_type=_concept(segment.code),
        algorithm_type="AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="kypho", family=_concept(METHOD), version=version("kypho")
        ),
        tracking_id=segment.label,
        tracking_uid=stable_uid("tracking", segment.label),
        anatomic_regions=[_concept(level_code(segment.level))] if segment.level else None,
        display_color=highdicom.color.CIELabColor.from_rgb(*segment.colour),
    )


def _declare_private_scheme(dataset: Any) -> None:
    """Say whose the private codes are, as the standard asks and highdicom does not yet."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeUID = stable_uid("coding scheme", PRIVATE_SCHEME)
    item.CodingSchemeName = "kypho codes"
    item.CodingSchemeVersion = version("kypho")
    item.CodingSchemeResponsibleOrganization = "kypho"
    dataset.CodingSchemeIdentificationSequence = [item]


def write_sr(
    path: Path,
    ct: CtInput,
    segmentation: Any,
    groups: Sequence[ReportGroup],
    *,
    description: str,
    keep_identity: bool = False,
) -> Any:
    """Write numbers about segments as a Comprehensive 3D SR (TID 1500, groups TID 1411); returns the dataset.

    Args:
        path: file to write.
        ct: the CT the segments lie on, from DICOM or `with_dicom_series`.
        segmentation: what `write_seg` returned.
        groups: one per segment spoken of.
        description: series description, without anything about the patient.
        keep_identity: as in `write_seg`; both must agree.
    """
    import highdicom
    from pydicom.sr.codedict import codes

    sr = highdicom.sr
    headers = private_headers(ct, keep_identity=keep_identity)
    digest = stable_uid(str(segmentation.SOPInstanceUID), description, repr(groups))
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=stable_uid("kypho", version("kypho")), name="kypho", manufacturer_name="kypho", model_name="kypho"
    )
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(
                observer_type=codes.DCM.Device, observer_identifying_attributes=device
            )
        ),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=[
            _measured(group, segmentation, str(headers[0].SeriesInstanceUID)) for group in groups
        ],
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=headers,
    )
    report = sr.Comprehensive3DSR(
        evidence=[*headers, segmentation],
        content=content,
        series_instance_uid=stable_uid(digest, "series"),
        series_number=901,
        sop_instance_uid=stable_uid(digest, "instance"),
        instance_number=1,
        manufacturer="kypho",
        series_description=description,
    )
    _declare_private_scheme(report)
    report.save_as(path)
    return report


def _measured(group: ReportGroup, segmentation: Any, source_series_uid: str) -> Any:
    """One volumetric group about one segment, which was drawn on that series."""
    from highdicom import sr

    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=stable_uid("tracking", group.tracking), identifier=group.tracking
        ),
        # Not `from_segmentation`: it finds no frames of a segment that stands alone in its file.
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=group.segment_number,
            source_series=sr.SourceSeriesForSegmentation(source_series_uid),
        ),
        finding_type=_concept(group.finding),
        finding_sites=[sr.FindingSite(anatomic_location=_concept(level_code(group.level)))],
        measurements=[
            sr.Measurement(
                name=_concept(item.code),
                # Six digits: a DICOM decimal string holds 16 characters.
                value=float(f"{item.value:.6g}"),
                unit=_concept((item.unit, "UCUM", "no units" if item.unit == "1" else item.unit)),
            )
            for item in group.numbers
        ],
        qualitative_evaluations=[
            sr.QualitativeEvaluation(name=_concept(question), value=_concept(answer))
            for question, answer in group.statements
        ],
    )
