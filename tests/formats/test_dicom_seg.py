"""DICOM SEG as labels: every voxel where it was segmented, named by label or code."""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
import pytest
from dicom_builder import SeriesSpec, ct_slices, save
from pydicom.sr.codedict import codes
from spine_builder import spine

from kypho import errors
from kypho.formats import read_ct, read_labels

NAMES = {"label": ["T6", "vertebrae_T7", "T8 vertebra"], "code": ["one", "two", "three"]}


def described(number: int, label: str, code: object) -> highdicom.seg.SegmentDescription:
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=code,
        algorithm_type="MANUAL",
    )


def write_seg(folder: Path, source: list, array: np.ndarray, labels: list[str], kind: str = "BINARY") -> Path:
    """`array` holds one channel per segment if 4-D, else segment numbers."""
    meanings = [codes.SCT.T6Vertebra, codes.SCT.T7Vertebra, codes.SCT.T8Vertebra]
    segmentation = highdicom.seg.Segmentation(
        source_images=source,
        pixel_array=array,
        segmentation_type=kind,
        segment_descriptions=[
            described(n, s, c) for n, (s, c) in enumerate(zip(labels, meanings, strict=True), 1)
        ],
        series_instance_uid=highdicom.UID(),
        series_number=20,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="kypho tests",
        manufacturer_model_name="tests",
        software_versions="1",
        device_serial_number="1",
    )
    path = folder / "labels.dcm"
    segmentation.save_as(path)
    return path


@pytest.fixture(scope="module", params=[{}, {"row": (0.8, 0.6, 0.0), "column": (-0.6, 0.8, 0.0)}])
def series(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A spine as DICOM, in two poses; its voxels and what was written."""
    ct, which = spine(3)
    spec = SeriesSpec(hu=ct.array, step=2.0, pixel=(1.5, 1.2), **request.param)
    folder = save(tmp_path_factory.mktemp("series"), ct_slices(spec))
    read = read_ct(folder)
    np.testing.assert_array_equal(read.volume.array, ct.array)
    return read, which, folder


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("names", NAMES)
def test_segments_land_on_their_voxels(tmp_path: Path, series, kind: str, names: str) -> None:
    ct, which, _ = series
    found = read_labels(write_seg(tmp_path, list(ct.sources), which, NAMES[names], kind), ct=ct.volume)
    assert found.labels.scheme == "dicom-seg"
    assert found.labels.levels() == ("T6", "T7", "T8")
    for n, level in enumerate(("T6", "T7", "T8"), start=1):
        np.testing.assert_array_equal(found.labels.mask(level), which == n)


def test_segments_of_some_slices_only(tmp_path: Path, series) -> None:
    """Empty frames are left out of the file; the rest must not slide to the first slices."""
    ct, which, _ = series
    part = np.where(which == 2, which, 0).astype(np.uint8)
    part[which == 1] = 0
    found = read_labels(write_seg(tmp_path, list(ct.sources), part, NAMES["label"]), ct=ct.volume)
    np.testing.assert_array_equal(found.labels.mask("T7"), which == 2)


def test_a_folder_with_one_seg(tmp_path: Path, series) -> None:
    ct, which, _ = series
    write_seg(tmp_path, list(ct.sources), which, NAMES["label"])
    assert read_labels(tmp_path, ct=ct.volume).labels.levels() == ("T6", "T7", "T8")


def test_overlap_is_said(tmp_path: Path, series) -> None:
    ct, which, _ = series
    channels = np.stack([which == n for n in (1, 2, 3)], axis=-1).astype(np.uint8)
    channels[..., 0] |= channels[..., 1]
    found = read_labels(write_seg(tmp_path, list(ct.sources), channels, NAMES["label"]), ct=ct.volume)
    assert any("overlap" in note for note in found.notes)
    np.testing.assert_array_equal(found.labels.mask("T7"), which == 2)


def test_another_frame_of_reference(tmp_path: Path, series) -> None:
    ct, which, _ = series
    other = SeriesSpec(hu=ct.volume.array, step=2.0, pixel=(1.5, 1.2))
    path = write_seg(tmp_path, ct_slices(other), which, NAMES["label"])
    with pytest.raises(errors.FrameOfReferenceError, match="frame of reference"):
        read_labels(path, ct=ct.volume)


def test_what_is_no_segmentation(tmp_path: Path, series) -> None:
    ct, which, folder = series
    with pytest.raises(errors.UnreadableFileError, match="DICOM SEG"):
        read_labels(folder / "IM0000.dcm", ct=ct.volume)
    path = write_seg(
        tmp_path,
        list(ct.sources),
        np.stack([which == n for n in (1, 2, 3)], -1).astype(np.float32),
        NAMES["label"],
        "FRACTIONAL",
    )
    with pytest.raises(errors.LabelsError, match="probabilities"):
        read_labels(path, ct=ct.volume)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5000])
    with pytest.raises(errors.InputError, match=r"labels\.dcm"):
        read_labels(path, ct=ct.volume)


def test_names_by_json_win_over_the_seg(tmp_path: Path, series) -> None:
    ct, which, _ = series
    path = write_seg(tmp_path, list(ct.sources), which, NAMES["label"])
    (tmp_path / "names.json").write_text('{"L1": 1, "L2": 2, "L3": 3}')
    found = read_labels(path, scheme=str(tmp_path / "names.json"), ct=ct.volume)
    assert found.labels.levels() == ("L1", "L2", "L3")
