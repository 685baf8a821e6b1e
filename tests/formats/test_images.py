"""NIfTI, NRRD and MetaImage: voxels stay where they were, and headers that cannot be trusted are refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from kypho import errors
from kypho.formats import read_ct, write_nifti
from kypho.space import Grid, Volume, rotation_about


def volume(rotation: np.ndarray | None = None, dtype: type = np.int16) -> Volume:
    """An asymmetric CT at an oblique place."""
    axes = (np.eye(3) if rotation is None else rotation) @ np.eye(3)[:, ::-1]
    hu = np.random.default_rng(5).integers(-1000, 1500, (5, 7, 9)).astype(dtype)
    grid = Grid(
        shape=(5, 7, 9), spacing_mm=(2.5, 0.7, 0.8), origin_mm=np.array([-31.25, 17.5, 203.75]), axes=axes
    )
    return Volume(array=hu, grid=grid, unit="HU")


def nifti(
    path: Path, array: np.ndarray | None = None, affine: np.ndarray | None = None, **codes: int
) -> Path:
    """Write with nibabel directly; `codes` sets sform_code, qform_code, ..."""
    hu = volume().array if array is None else array
    image = nibabel.Nifti1Image(hu.T, np.diag([-0.8, -0.7, 2.5, 1]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    # nibabel mends what it writes, so the faults are put into the bytes: two codes, then three rows of sform.
    whole = path.read_bytes()
    data = bytearray(gzip.decompress(whole) if path.suffix == ".gz" else whole)
    for at, name in ((252, "qform_code"), (254, "sform_code")):
        if name in codes:
            data[at : at + 2] = np.array([codes[name]], dtype="<i2").tobytes()
    if affine is not None:
        data[280:328] = affine[:3].astype("<f4").tobytes()
    path.write_bytes(gzip.compress(bytes(data)) if path.suffix == ".gz" else data)
    return path


ROTATIONS = [np.eye(3), rotation_about([1, 2, 3], 40), rotation_about([0, 0, 1], 180), np.diag([-1.0, 1, 1])]


@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_written_nifti_reads_back(tmp_path: Path, rotation: np.ndarray, ending: str) -> None:
    before = volume(rotation)
    write_nifti(tmp_path / f"ct{ending}", before)
    after = read_ct(tmp_path / f"ct{ending}")
    np.testing.assert_array_equal(after.volume.array, before.array)
    assert after.volume.array.dtype == np.int16
    assert after.kind == "nifti"
    # The header keeps float32: positions below 300 mm are good to 2e-5 mm.
    for corner in ((0, 0, 0), (4, 6, 8)):
        np.testing.assert_allclose(
            after.volume.grid.to_world(corner), before.grid.to_world(corner), atol=5e-5
        )


def test_other_programs_find_the_same_place(tmp_path: Path) -> None:
    """nibabel (RAS) and SimpleITK (LPS) agree with the grid, and both orientation codes are set."""
    before = volume(ROTATIONS[1])
    write_nifti(tmp_path / "ct.nii.gz", before)
    itk = sitk.ReadImage(str(tmp_path / "ct.nii.gz"))
    nib = nibabel.load(tmp_path / "ct.nii.gz")
    k, j, i = 3, 5, 2
    world = before.grid.to_world((k, j, i))
    np.testing.assert_allclose(itk.TransformIndexToPhysicalPoint((i, j, k)), world, atol=1e-4)
    np.testing.assert_allclose((nib.affine @ [i, j, k, 1])[:3] * [-1, -1, 1], world, atol=1e-4)
    assert itk[i, j, k] == before.array[k, j, i]
    assert int(nib.header["qform_code"]) == int(nib.header["sform_code"]) == 1


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("rotation", ROTATIONS[:3])
def test_itk_formats(tmp_path: Path, ending: str, rotation: np.ndarray) -> None:
    before = volume(rotation)
    image = sitk.GetImageFromArray(before.array)
    image.SetSpacing(before.grid.spacing_mm[::-1])
    image.SetOrigin(before.grid.origin_mm)
    image.SetDirection(before.grid.axes[:, ::-1].ravel())
    path = tmp_path / f"ct{ending}"
    sitk.WriteImage(image, str(path))
    after = read_ct(path)
    np.testing.assert_array_equal(after.volume.array, before.array)
    np.testing.assert_allclose(
        after.volume.grid.to_world((4, 6, 8)), before.grid.to_world((4, 6, 8)), atol=1e-6
    )
    assert after.kind == ("nrrd" if "n" in ending else "mha")
    data = next((p for p in tmp_path.iterdir() if p != path), None)
    if data is not None:
        content = bytearray(data.read_bytes())
        content[3] ^= 1
        data.write_bytes(content)
        try:
            assert read_ct(path).sha256 != after.sha256
        except errors.UnreadableFileError:
            assert ending == ".nhdr"  # gzip notices by itself


def test_scaled_integers_and_floats(tmp_path: Path) -> None:
    hu = volume().array
    image = nibabel.Nifti1Image(
        (hu.T.astype(np.int32) + 1024).astype(np.uint16), np.diag([-0.8, -0.7, 2.5, 1])
    )
    image.header.set_slope_inter(1.0, -1024.0)
    nibabel.save(image, tmp_path / "scaled.nii")
    # nibabel rescales on saving, so the slope is put in by hand.
    data = bytearray((tmp_path / "scaled.nii").read_bytes())
    data[112:120] = np.array([1.0, -1024.0], dtype="<f4").tobytes()
    (tmp_path / "scaled.nii").write_bytes(data)
    ct = read_ct(tmp_path / "scaled.nii")
    np.testing.assert_array_equal(ct.volume.array, hu)
    assert ct.volume.array.dtype == np.int16
    half = read_ct(nifti(tmp_path / "half.nii.gz", hu.astype(np.float64) + 0.5)).volume.array
    np.testing.assert_array_equal(half, hu + np.float32(0.5))


def test_padding_below_air_is_clamped_and_said(tmp_path: Path) -> None:
    hu = volume().array.copy()
    hu[0] = -3024
    ct = read_ct(nifti(tmp_path / "ct.nii.gz", hu))
    assert (ct.volume.array[0] == -1024).all()
    assert any("63 voxels below -1024 HU" in note for note in ct.notes)


def test_slight_shear_is_snapped_and_said(tmp_path: Path) -> None:
    """0.02 degrees over a 23 mm image moves a corner by a few micrometres; the middle stays."""
    affine = np.diag([-0.8, -0.7, 2.5, 1.0])
    affine[0, 2] = 2.5 * np.tan(np.deg2rad(0.04))
    ct = read_ct(nifti(tmp_path / "ct.nii.gz", affine=affine, qform_code=0, sform_code=1))
    assert any("sheared by 0.020 degrees, snapped" in note for note in ct.notes)
    grid = ct.volume.grid
    np.testing.assert_allclose(grid.axes.T @ grid.axes, np.eye(3), atol=1e-12)
    middle = affine @ [4, 3, 2, 1]
    np.testing.assert_allclose(grid.centre_mm, middle[:3] * [-1, -1, 1], atol=1e-5)


def _with_qform(path: Path, sform: np.ndarray, qform: np.ndarray) -> Path:
    image = nibabel.Nifti1Image(volume().array.T, sform)
    image.set_sform(sform, code=1)
    image.set_qform(qform, code=1)
    nibabel.save(image, path)
    return path


def test_two_orientations_must_agree(tmp_path: Path) -> None:
    plain, mirrored = np.diag([-0.8, -0.7, 2.5, 1.0]), np.diag([0.8, -0.7, 2.5, 1.0])
    with pytest.raises(errors.GeometryError, match="disagree"):
        read_ct(_with_qform(tmp_path / "a.nii.gz", plain, mirrored))
    moved = plain.copy()
    moved[:3, 3] = 30
    ct = read_ct(_with_qform(tmp_path / "b.nii.gz", moved, plain))
    np.testing.assert_allclose(ct.volume.grid.origin_mm, [-30, -30, 30], atol=1e-5)
    assert any("qform and sform origins" in note for note in ct.notes)


def test_units_of_the_header_are_read(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(volume().array.T, np.diag([-0.0008, -0.0007, 0.0025, 1.0]))
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "ct.nii.gz")
    ct = read_ct(tmp_path / "ct.nii.gz")
    np.testing.assert_allclose(ct.volume.grid.spacing_mm, (2.5, 0.7, 0.8), rtol=1e-6)
    assert any("scaled by 1000 to mm" in note for note in ct.notes)


def _shear(percent: float) -> np.ndarray:
    affine = np.diag([-0.8, -0.7, 2.5, 1.0])
    affine[0, 1] = 0.7 * percent / 100
    return affine


REFUSED = {
    "no orientation": ({"qform_code": 0, "sform_code": 0}, errors.GeometryError, "no orientation"),
    "sheared": ({"affine": _shear(2), "qform_code": 0}, errors.GeometryError, "sheared"),
    "singular": ({"affine": _shear(0) * [1, 1, 0, 1], "qform_code": 0}, errors.GeometryError, "mm"),
    "dependent": (
        {"affine": np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "qform_code": 0},
        errors.GeometryError,
        "dependent",
    ),
    "not finite": ({"affine": np.diag([np.nan, 1, 1, 1]), "qform_code": 0}, errors.GeometryError, "finite"),
    "micrometres as mm": (
        {"affine": np.diag([800.0, 700, 2500, 1]), "qform_code": 0},
        errors.GeometryError,
        "unit",
    ),
    "4-D": ({"array": np.stack([volume().array] * 2)}, errors.GeometryError, "4 dimensions"),
    "one slice": ({"array": volume().array[:1]}, errors.GeometryError, "single slice"),
    "nan": ({"array": np.where(volume().array > 1400, np.nan, 0.0)}, errors.NotFiniteError, "NaN"),
    "infinite": ({"array": np.where(volume().array > 1400, np.inf, 0.0)}, errors.NotFiniteError, "NaN"),
    "mr": ({"array": np.abs(volume().array)}, errors.ModalityError, "does not look like CT"),
    "8 bit": ({"array": volume().array.astype(np.uint8)}, errors.ModalityError, "does not look like CT"),
    "constant": ({"array": np.zeros((5, 7, 9), np.int16)}, errors.ModalityError, "does not look like CT"),
    "colour": (
        {"array": np.zeros((5, 7, 9), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))},
        errors.UnreadableFileError,
        "plain numbers",
    ),
    "complex": ({"array": volume().array.astype(np.complex64)}, errors.UnreadableFileError, "plain numbers"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_every_fault_of_a_nifti_is_named(tmp_path: Path, fault: str) -> None:
    changes, error, words = REFUSED[fault]
    path = nifti(tmp_path / "ct.nii.gz", **{"sform_code": 1, **changes})
    with pytest.raises(error, match=words) as caught:
        read_ct(path)
    assert type(caught.value) is error
    assert "ct.nii.gz" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_truncated_nifti(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"ct{ending}"
    write_nifti(path, volume())
    whole = path.read_bytes()
    for length in (0, 100, 400, len(whole) - 20):
        path.write_bytes(whole[:length])
        with pytest.raises(errors.UnreadableFileError, match="ct"):
            read_ct(path)


def test_a_header_that_promises_more_than_it_has(tmp_path: Path) -> None:
    """Refused before memory for 64 GB is asked for."""
    path = tmp_path / "ct.nii"
    write_nifti(path, volume())
    data = bytearray(path.read_bytes())
    data[42:48] = np.array([1200, 1200, 1400], dtype="<i2").tobytes()
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(errors.UnreadableFileError, match="truncated"):
        read_ct(tmp_path / "ct.nii.gz")


def _edit(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def _itk(path: Path) -> Path:
    image = sitk.GetImageFromArray(volume().array)
    image.SetSpacing((0.8, 0.7, 2.5))
    sitk.WriteImage(image, str(path))
    return path


def test_itk_formats_without_orientation(tmp_path: Path) -> None:
    nrrd, mha = _itk(tmp_path / "ct.nrrd"), _itk(tmp_path / "ct.mha")
    _edit(nrrd, b"space: left-posterior-superior", b"# space was here")
    _edit(mha, b"TransformMatrix", b"SomethingElse")
    for path in (nrrd, mha):
        with pytest.raises(errors.GeometryError, match="no orientation"):
            read_ct(path)


def test_itk_formats_with_pixels_elsewhere(tmp_path: Path) -> None:
    """A header must not make kypho read a file of another folder."""
    nhdr, mhd = _itk(tmp_path / "ct.nhdr"), _itk(tmp_path / "ct.mhd")
    _edit(nhdr, b"data file: ", b"data file: ../")
    _edit(mhd, b"ElementDataFile = ", b"ElementDataFile = /etc/")
    for path in (nhdr, mhd):
        with pytest.raises(errors.UnreadableFileError, match="beside it"):
            read_ct(path)


def test_series_is_for_dicom(tmp_path: Path) -> None:
    write_nifti(tmp_path / "ct.nii.gz", volume())
    with pytest.raises(errors.SettingsError, match="--series"):
        read_ct(tmp_path / "ct.nii.gz", series="1.2.3")


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    import hashlib

    write_nifti(tmp_path / "ct.nii.gz", volume())
    assert read_ct(tmp_path / "ct.nii.gz").sha256 == (
        hashlib.sha256((tmp_path / "ct.nii.gz").read_bytes()).hexdigest()
    )


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_truncated_itk_formats(tmp_path: Path, ending: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Cut anywhere, the file is refused, and no library chatters on the terminal."""
    path = _itk(tmp_path / f"ct{ending}")
    whole = path.read_bytes()
    for length in (0, len(whole) - 20, len(whole) - 300):
        path.write_bytes(whole[:length])
        with pytest.raises(errors.UnreadableFileError, match="ct"):
            read_ct(path)
    assert capfd.readouterr() == ("", "")
