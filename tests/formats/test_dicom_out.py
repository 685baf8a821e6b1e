"""DICOM SEG and SR: valid by an independent validator, in place voxel for voxel, and naming nobody."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_builder import IDENTITY, SeriesSpec, ct_slices, enhanced, phantom, save

from kypho import errors
from kypho.formats import read_ct, read_labels, write_nifti
from kypho.formats.dicom_out import ReportGroup, ReportNumber, SegmentMask, level_code, write_seg, write_sr
from kypho.formats.dicom_source import with_dicom_series
from kypho.space import Grid, Volume, rotation_about

OBLIQUE = {"row": (0.8, 0.6, 0.0), "column": (-0.36, 0.48, 0.8)}
CEMENT = ("CEMENT", "99KYPHO", "Bone cement")


def segments(shape: tuple[int, ...]) -> list[SegmentMask]:
    """Two overlapping blobs, off the middle in every axis, and one that is empty."""
    cement, bone, empty = (np.zeros(shape, dtype=bool) for _ in range(3))
    cement[2:4, 5:8, 7:9] = True
    cement[4, 5, 7] = True
    bone[2:6, 4:9, 3:9] = True
    return [
        SegmentMask(
            label="T7 cement", mask=cement, code=CEMENT, is_anatomy=False, colour=(230, 160, 0), level="T7"
        ),
        SegmentMask(label="nothing", mask=empty, code=CEMENT, is_anatomy=False, colour=(230, 160, 0)),
        SegmentMask(
            label="T7", mask=bone, code=level_code("T7"), is_anatomy=True, colour=(90, 180, 230), level="T7"
        ),
    ]


GROUPS = [
    ReportGroup(
        tracking="T7 cement",
        segment_number=1,
        finding=CEMENT,
        level="T7",
        numbers=(
            ReportNumber(code=("118565006", "SCT", "Volume"), value=np.float64(1.23456789), unit="mL"),
            ReportNumber(
                code=("CANAL_TAKEN", "99KYPHO", "Largest part of the canal taken"), value=12.5, unit="%"
            ),
        ),
        statements=((("SIDE", "99KYPHO", "Side"), ("7771000", "SCT", "Left")),),
    )
]


def ct_of(kind: str, folder: Path):
    if kind == "nifti":
        grid = Grid(
            shape=(8, 20, 16),
            spacing_mm=(1.5, 0.8, 0.6),
            origin_mm=np.array([10.0, -20.0, 30.0]),
            axes=rotation_about([1, 2, 3], 25) @ np.eye(3)[:, ::-1] * [-1, 1, 1],  # k runs to the feet
        )
        write_nifti(folder / "ct.nii.gz", Volume(array=phantom(), grid=grid, unit="HU"))
        return with_dicom_series(read_ct(folder / "ct.nii.gz"), folder / "ct")
    spec = SeriesSpec(**(OBLIQUE if kind == "oblique" else {}))
    datasets = [enhanced(spec)] if kind == "enhanced" else ct_slices(spec)
    if kind == "stripped":
        for ds in datasets:
            for name in ("SliceThickness", "StudyID", "AccessionNumber", "PatientBirthDate", "StudyDate"):
                delattr(ds, name)
    order = None if kind == "enhanced" else [5, 0, 7, 2, 1, 6, 3, 4]
    return read_ct(save(folder / "series", datasets, order))


def assert_valid(path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    found = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    assert not found, "\n".join(found)


KINDS = ["plain", "oblique", "stripped", "enhanced", "nifti"]


@pytest.mark.parametrize("kind", KINDS)
def test_segments_read_back_where_they_were(tmp_path: Path, kind: str) -> None:
    """Read by highdicom alone and compared in patient coordinates; 1e-3 mm for decimal strings."""
    ct = ct_of(kind, tmp_path)
    wanted = segments(ct.volume.grid.shape)
    write_seg(tmp_path / "out.dcm", ct, wanted, description="test")
    seg = highdicom.seg.segread(tmp_path / "out.dcm")
    assert [str(s.SegmentLabel) for s in seg.SegmentSequence] == ["T7 cement", "T7"]
    assert seg.FrameOfReferenceUID == ct.volume.grid.frame_of_reference
    assert seg.StudyInstanceUID == ct.sources[0].StudyInstanceUID
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == ct.series_uid
    assert all(s.RecommendedDisplayCIELabValue for s in seg.SegmentSequence)
    volume = seg.get_volume(combine_segments=False)
    for channel, segment in enumerate((wanted[0], wanted[2])):
        inside = np.argwhere(volume.array[..., channel]) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        expected = ct.volume.grid.to_world(np.argwhere(segment.mask))
        assert len(inside) == len(expected)
        apart = np.linalg.norm(inside[:, None] - expected[None], axis=-1).min(axis=1)
        assert apart.max() < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_seg_and_sr_pass_the_validator(tmp_path: Path, kind: str) -> None:
    ct = ct_of(kind, tmp_path)
    seg = write_seg(tmp_path / "seg.dcm", ct, segments(ct.volume.grid.shape), description="test")
    write_sr(tmp_path / "sr.dcm", ct, seg, GROUPS, description="test")
    assert_valid(tmp_path / "seg.dcm")
    assert_valid(tmp_path / "sr.dcm")


def test_a_segment_that_stands_alone_is_reported_too(tmp_path: Path) -> None:
    # highdicom then writes its number once for all frames, where its own reader does not look.
    ct = ct_of("plain", tmp_path)
    seg = write_seg(tmp_path / "seg.dcm", ct, segments(ct.volume.grid.shape)[:1], description="test")
    write_sr(tmp_path / "sr.dcm", ct, seg, GROUPS, description="test")
    assert_valid(tmp_path / "sr.dcm")
    (group,) = highdicom.sr.srread(tmp_path / "sr.dcm").content.get_volumetric_roi_measurement_groups()
    assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID


def test_the_report_reads_back(tmp_path: Path) -> None:
    ct = ct_of("plain", tmp_path)
    seg = write_seg(tmp_path / "seg.dcm", ct, segments(ct.volume.grid.shape), description="test")
    write_sr(tmp_path / "sr.dcm", ct, seg, GROUPS, description="test")
    report = highdicom.sr.srread(tmp_path / "sr.dcm")
    assert report.ConceptNameCodeSequence[0].CodeValue == "126000"
    (group,) = report.content.get_volumetric_roi_measurement_groups()
    assert group.tracking_identifier == "T7 cement"
    values = {m.name.meaning: (m.value, m.unit.value) for m in group.get_measurements()}
    assert values == {"Volume": (1.23457, "mL"), "Largest part of the canal taken": (12.5, "%")}
    assert group.finding_sites[0].topographical_modifier is None
    assert group.finding_sites[0].value.value == level_code("T7")[0]
    assert report.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99KYPHO"
    # Viewers dereference the image library (111028) without looking whether it is there.
    assert "111028" in str(report)


@pytest.mark.parametrize("keep", [False, True])
def test_identity_comes_out_only_when_asked(tmp_path: Path, keep: bool) -> None:
    ct = ct_of("plain", tmp_path)
    seg = write_seg(
        tmp_path / "seg.dcm", ct, segments(ct.volume.grid.shape), description="x", keep_identity=keep
    )
    write_sr(tmp_path / "sr.dcm", ct, seg, GROUPS, description="x", keep_identity=keep)
    for name in ("seg.dcm", "sr.dcm"):
        ds, data = pydicom.dcmread(tmp_path / name), (tmp_path / name).read_bytes()
        assert str(ds.PatientName) == (IDENTITY["PatientName"] if keep else "")
        assert (b"SECRET-4711" in data) is keep
        assert b"Secret Hospital" not in data
        assert b"Secret series" not in data


def test_the_same_masks_get_the_same_uids(tmp_path: Path) -> None:
    ct = ct_of("plain", tmp_path)
    one, two, other = (
        write_seg(tmp_path / "seg.dcm", ct, masks, description="x")
        for masks in (segments((8, 20, 16)), segments((8, 20, 16)), segments((8, 20, 16))[2:])
    )
    assert one.SOPInstanceUID == two.SOPInstanceUID != other.SOPInstanceUID


def test_a_seg_is_accepted_as_labels(tmp_path: Path) -> None:
    ct = ct_of("plain", tmp_path)
    hu = phantom()
    bone = hu > 300
    bone[0] = False
    mask = SegmentMask(label="T7", mask=bone, code=level_code("T7"), is_anatomy=True, colour=(90, 180, 230))
    write_seg(tmp_path / "seg.dcm", ct, [mask], description="x")
    found = read_labels(tmp_path / "seg.dcm", ct=ct.volume)
    np.testing.assert_array_equal(found.labels.mask("T7"), bone)


def test_the_series_made_of_a_nifti_is_a_ct(tmp_path: Path) -> None:
    ct = ct_of("nifti", tmp_path)
    again = read_ct(tmp_path / "ct")
    np.testing.assert_array_equal(again.volume.array, ct.volume.array)
    for corner in ((0, 0, 0), (7, 19, 15)):
        np.testing.assert_allclose(
            again.volume.grid.to_world(corner), ct.volume.grid.to_world(corner), atol=1e-4
        )
    assert again.volume.grid.frame_of_reference == ct.volume.grid.frame_of_reference
    assert_valid(tmp_path / "ct" / "ct-0001.dcm")


def test_nothing_to_write_and_wrong_grid(tmp_path: Path) -> None:
    ct = ct_of("plain", tmp_path)
    empty = segments(ct.volume.grid.shape)[1:2]
    with pytest.raises(errors.LabelsError, match="empty"):
        write_seg(tmp_path / "seg.dcm", ct, empty, description="x")
    with pytest.raises(errors.GridMismatchError):
        write_seg(tmp_path / "seg.dcm", ct, segments((8, 20, 17)), description="x")
    assert not (tmp_path / "seg.dcm").exists()


@pytest.mark.parametrize("level", ["C1", "T7", "L5", "T13", "L6"])
def test_level_codes(level: str) -> None:
    value, scheme, meaning = level_code(level)
    assert len(value) <= 16
    assert scheme == ("99KYPHO" if level in ("T13", "L6") else "SCT")
    assert level.lower() in meaning.lower()
