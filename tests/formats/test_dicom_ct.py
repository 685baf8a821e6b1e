"""Reading DICOM CT: what comes out is where and what the headers say, or an error that names the fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_builder import IDENTITY, SeriesSpec, ct_slices, enhanced, new_dataset, phantom, save, set_pixels
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from kypho import errors
from kypho.formats import read_ct

OBLIQUE = {"row": (0.8, 0.6, 0.0), "column": (-0.36, 0.48, 0.8)}
FEET_FIRST = {"row": (-1.0, 0.0, 0.0), "column": (0.0, 1.0, 0.0)}


def assert_as_written(ct, spec: SeriesSpec) -> None:
    """The HU and the world position of every voxel corner equal IPP + IOP arithmetic.

    1e-4 mm: the files store decimal strings of 16 characters.
    """
    hu = spec.hu.astype(float)
    flip = spec.step < 0
    np.testing.assert_array_equal(ct.volume.array, np.maximum(hu[::-1] if flip else hu, -1024))
    for k, j, i in ((0, 0, 0), (3, 5, 7), tuple(n - 1 for n in hu.shape)):
        source_k = hu.shape[0] - 1 - k if flip else k
        expected = spec.position(source_k) + j * spec.pixel[0] * np.array(spec.column)
        expected = expected + i * spec.pixel[1] * np.array(spec.row)
        np.testing.assert_allclose(ct.volume.grid.to_world((k, j, i)), expected, atol=1e-4)


@pytest.mark.parametrize(
    "pose", [{}, OBLIQUE, FEET_FIRST, {"step": -1.5}, {"signed": True, "intercept": 0.0}]
)
def test_positions_and_hu_are_those_of_the_headers(tmp_path: Path, pose: dict) -> None:
    spec = SeriesSpec(**pose)
    order = list(np.random.default_rng(3).permutation(len(spec.hu)))
    ct = read_ct(save(tmp_path / "a" / "b", ct_slices(spec), order).parent)
    assert_as_written(ct, spec)
    assert ct.kind == "dicom"
    assert ct.series_uid == spec.series
    assert ct.volume.grid.frame_of_reference == spec.frame_of_reference
    assert [float(s.ImagePositionPatient[2]) for s in ct.sources] == pytest.approx(
        [ct.volume.grid.to_world((k, 0, 0))[2] for k in range(len(spec.hu))], abs=1e-4
    )


def test_file_order_and_names_do_not_matter(tmp_path: Path) -> None:
    slices = ct_slices()
    one = read_ct(save(tmp_path / "one", slices))
    two = read_ct(save(tmp_path / "two", slices, [7, 2, 5, 0, 1, 6, 3, 4]))
    np.testing.assert_array_equal(one.volume.array, two.volume.array)
    assert one.sha256 == two.sha256


def test_each_slice_has_its_own_rescale(tmp_path: Path) -> None:
    """Fractional slopes after an integer one are kept; within half a step of the stored numbers."""
    spec = SeriesSpec()
    slices = ct_slices(spec)
    for k, ds in enumerate(slices):
        slope, intercept = 1.0 + 0.25 * k, -1024.0 - 100 * k
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
        set_pixels(ds, np.rint((spec.hu[k] - intercept) / slope), signed=False)
    ct = read_ct(save(tmp_path, slices))
    assert ct.volume.array.dtype == np.float32
    assert np.abs(ct.volume.array - spec.hu).max() <= (1 + 0.25 * 7) / 2 + 1e-3


@pytest.mark.parametrize(("stored", "signed"), [(-2000, True), (63536, True), (0, False)])
def test_padding_becomes_air(tmp_path: Path, stored: int, signed: bool) -> None:
    spec = SeriesSpec(signed=signed, intercept=0.0 if signed else -1024.0)
    slices = ct_slices(spec)
    number = np.int64(stored).astype(np.int16) if signed else stored
    for ds in slices:
        pixels = ds.pixel_array.copy()
        pixels[:2] = number
        set_pixels(ds, pixels, signed)
        ds.add_new(0x00280120, "SS" if signed else "US", int(number))
    ct = read_ct(save(tmp_path, slices))
    assert (ct.volume.array[:, :2] == -1024).all()
    assert ct.volume.array.min() == -1024
    assert any("padding" in note for note in ct.notes)


def test_padding_inside_the_tissue_range_is_not_believed(tmp_path: Path) -> None:
    slices = ct_slices(SeriesSpec(tags={"PixelPaddingValue": 1064}))  # 40 HU
    ct = read_ct(save(tmp_path, slices))
    np.testing.assert_array_equal(ct.volume.array, phantom())
    assert any("kept as tissue" in note for note in ct.notes)


def test_enhanced_multiframe_reads_like_the_series(tmp_path: Path) -> None:
    spec = SeriesSpec(**OBLIQUE)
    ct = read_ct(save(tmp_path, [enhanced(spec)]))
    assert_as_written(ct, spec)
    assert len(ct.sources) == len(spec.hu)


def test_a_file_of_the_series_stands_for_the_series(tmp_path: Path) -> None:
    save(tmp_path, [*ct_slices(SeriesSpec()), *ct_slices(SeriesSpec())])
    ct = read_ct(tmp_path / "IM0003.dcm")
    assert ct.volume.grid.shape == phantom().shape


def test_localizers_and_other_objects_are_left_out_and_said_so(tmp_path: Path) -> None:
    spec = SeriesSpec()
    scout = ct_slices(spec)[0]
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.SeriesInstanceUID = generate_uid()
    screenshot = new_dataset(spec, SecondaryCaptureImageStorage)
    pet = new_dataset(spec)
    pet.Modality = "PT"
    save(tmp_path, [*ct_slices(spec), scout, screenshot, pet])
    (tmp_path / "readme.txt").write_text("not DICOM")
    ct = read_ct(tmp_path)
    assert ct.volume.grid.shape == phantom().shape
    for word in ("localizers", "modality PT", "no CT images", "not DICOM"):
        assert any(word in note for note in ct.notes)


def test_several_series_are_listed_and_one_is_chosen(tmp_path: Path) -> None:
    one, two = SeriesSpec(), SeriesSpec(step=3.0)
    save(tmp_path, [*ct_slices(one), *ct_slices(two)])
    with pytest.raises(errors.ChoiceNeededError, match="--series") as caught:
        read_ct(tmp_path)
    message = str(caught.value)
    assert one.series in message
    assert two.series in message
    assert "\n" not in message
    assert "Secret" not in message
    assert read_ct(tmp_path, series=two.series).volume.grid.spacing_mm[0] == pytest.approx(3.0)
    with pytest.raises(errors.ChoiceNeededError, match=r"no CT series 1\.2\.3"):
        read_ct(tmp_path, series="1.2.3")


def _bent(change: Callable[[list], list | None]) -> list:
    slices = ct_slices()
    return change(slices) or slices


def _shift(slices: list, k: int, axis: int, mm: float) -> None:
    slices[k].ImagePositionPatient[axis] = float(slices[k].ImagePositionPatient[axis]) + mm


def _tilt(slices: list) -> None:
    for k in range(len(slices)):
        _shift(slices, k, 1, 0.4 * k)


def _jitter(slices: list) -> None:
    for k in range(3, len(slices)):
        _shift(slices, k, 2, 0.5)


def _set(name: str, content: object, k: int | None = None) -> Callable[[list], None]:
    def change(slices: list) -> None:
        for n, ds in enumerate(slices):
            if k is None or n == k:
                setattr(ds, name, content)

    return change


def _copy(slices: list) -> list:
    twin = ct_slices()[2]
    twin.SeriesInstanceUID = slices[0].SeriesInstanceUID
    twin.FrameOfReferenceUID = slices[0].FrameOfReferenceUID
    return [*slices, twin]


FAULTS = {
    "missing": (lambda s: s[:3] + s[4:], errors.MissingSlicesError, "lacks 1 of 8"),
    "missing one of three": (lambda s: [s[0], s[2], s[3]], errors.MissingSlicesError, "lacks 1 of 4"),
    "missing two runs": (lambda s: [s[0], *s[2:4], *s[6:]], errors.MissingSlicesError, "lacks 3 of 8"),
    "duplicate": (_copy, errors.DuplicateSlicesError, "already taken"),
    "uneven": (_jitter, errors.UnevenSpacingError, "1.500 to 2.000"),
    "tilt": (_tilt, errors.GantryTiltError, "14.9 degrees"),
    "mr": (_set("Modality", "MR"), errors.ModalityError, "MR"),
    "two frames": (_set("FrameOfReferenceUID", "1.2.3", 4), errors.GeometryError, "frames of reference"),
    "two spacings": (_set("PixelSpacing", [0.8, 0.7], 4), errors.GeometryError, "split the series"),
    "two orientations": (
        _set("ImageOrientationPatient", [0.6, 0.8, 0, -0.8, 0.6, 0], 4),
        errors.GeometryError,
        "orientation",
    ),
    "no rotation": (_set("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]), errors.GeometryError, "rotation"),
    "single": (lambda s: s[:1], errors.GeometryError, "single"),
    "no position": (_set("ImagePositionPatient", None), errors.GeometryError, "ImagePositionPatient"),
    "no rescale": (_set("RescaleSlope", None), errors.ModalityError, "rescale"),
    "other units": (_set("RescaleType", "MGML"), errors.ModalityError, "MGML"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_of_a_stack_is_named(tmp_path: Path, fault: str) -> None:
    change, error, words = FAULTS[fault]
    save(tmp_path, _bent(change))
    with pytest.raises(error, match=words) as caught:
        read_ct(tmp_path)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_rounded_positions_are_no_fault(tmp_path: Path) -> None:
    """Positions rounded to hundredths of a mm, as many scanners write them, differ by 0.01 mm."""
    spec = SeriesSpec(step=0.625)
    slices = ct_slices(spec)
    for ds in slices:
        ds.ImagePositionPatient = [round(float(x), 2) for x in ds.ImagePositionPatient]
    assert read_ct(save(tmp_path, slices)).volume.grid.spacing_mm[0] == pytest.approx(0.625, abs=2e-3)


def test_truncated_files_are_named(tmp_path: Path) -> None:
    save(tmp_path, ct_slices())
    whole = (tmp_path / "IM0004.dcm").read_bytes()
    for length in (0, 60, 200, len(whole) - 300):
        (tmp_path / "IM0004.dcm").write_bytes(whole[:length])
        with pytest.raises(errors.UnreadableFileError, match=r"IM0004\.dcm"):
            read_ct(tmp_path)


def test_no_dicom_at_all(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(errors.UnreadableFileError, match="no DICOM"):
        read_ct(tmp_path)
    with pytest.raises(errors.UnreadableFileError, match="no known format"):
        read_ct(tmp_path / "notes.txt")
    with pytest.raises(errors.UnreadableFileError, match="check the path"):
        read_ct(tmp_path / "absent")


def test_rle_reads_without_extras(tmp_path: Path) -> None:
    spec = SeriesSpec()
    slices = ct_slices(spec)
    for ds in slices:
        ds.compress(RLELossless, generate_instance_uid=False)
    assert_as_written(read_ct(save(tmp_path, slices)), spec)


@pytest.mark.parametrize("by_pydicom", [True, False])
def test_jpeg_2000_reads_by_either_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_pydicom: bool
) -> None:
    """Once by the optional codec, once by SimpleITK's own: the same numbers, exactly."""
    pytest.importorskip("openjpeg")
    spec = SeriesSpec(hu=phantom((4, 96, 80)))
    slices = ct_slices(spec)
    for ds in slices:
        ds.compress(JPEG2000Lossless, generate_instance_uid=False)
    save(tmp_path, slices)
    if not by_pydicom:
        monkeypatch.setattr("pydicom.pixels.get_decoder", _no_decoder)
    assert_as_written(read_ct(tmp_path), spec)


def _no_decoder(syntax: str) -> None:
    raise NotImplementedError(syntax)


def test_without_a_decoder_the_syntax_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slices = ct_slices()
    for ds in slices:
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.file_meta.TransferSyntaxUID = HTJ2KLossless
    save(tmp_path, slices)
    monkeypatch.setattr("pydicom.pixels.get_decoder", _no_decoder)
    with pytest.raises(errors.CompressionError, match="High-Throughput JPEG 2000"):
        read_ct(tmp_path)


def test_errors_and_results_do_not_identify_the_patient(tmp_path: Path) -> None:
    """Only the headers kept for DICOM output may; everything else is free of the names put in."""
    ct = read_ct(save(tmp_path, ct_slices()))
    shown = f"{ct.notes} {ct.sha256} {ct.kind} {ct.volume.grid}"
    assert not any(text in shown for text in IDENTITY.values())


def test_jpeg_lossless_reads_without_extras(tmp_path: Path) -> None:
    """The archives' usual compression, for which pydicom needs a plugin; exact, since it is lossless."""
    import SimpleITK as sitk

    spec = SeriesSpec(hu=phantom((4, 96, 80)), intercept=-1000.0)
    slices = ct_slices(spec)
    for ds in slices:
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(tmp_path / "one.dcm"))
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.Execute(sitk.GetImageFromArray(ds.pixel_array))
        squeezed = pydicom.dcmread(tmp_path / "one.dcm")
        assert squeezed.file_meta.TransferSyntaxUID == JPEGLosslessSV1
        ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
        ds["PixelData"] = squeezed["PixelData"]
    (tmp_path / "one.dcm").unlink()
    assert_as_written(read_ct(save(tmp_path / "series", slices)), spec)
