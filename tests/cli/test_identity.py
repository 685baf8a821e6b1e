"""No file that a command writes, and no line it prints, names the patient."""

import gzip
import re
import sys
import zlib
from importlib.resources import files
from pathlib import Path, PurePath

import numpy as np
import pytest
from program import kypho

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

from dicom_builder import IDENTITY, SeriesSpec, ct_slices, save

from kypho.anatomy import CANAL, build_vertebra
from kypho.case.layout import WRITES
from kypho.formats import read_ct, read_labels

SAMPLE = files("kypho.formats") / "sample"
SECRETS = (*IDENTITY.values(), "Secret", "SECRET", "20240102", "Q4711")
"""Of the tags, of the private tags, and of the names of folders and files.

None is of a few digits alone: a random UID holds any four in a row now and then.
"""


def series(folder, volume, hu):
    """A DICOM series of a volume, with identity in every tag that has room for it, private ones too."""
    grid = volume.grid
    spec = SeriesSpec(
        hu=hu,
        origin=tuple(grid.origin_mm),
        row=tuple(grid.axes[:, 2]),
        column=tuple(grid.axes[:, 1]),
        step=float(
            grid.spacing_mm[0] * np.sign(np.cross(grid.axes[:, 2], grid.axes[:, 1]) @ grid.axes[:, 0])
        ),
        pixel=(grid.spacing_mm[1], grid.spacing_mm[2]),
    )
    slices = ct_slices(spec)
    for one in slices:
        one.OperatorsName = one.PatientComments = one.AccessionNumber = "SECRET-4711"
        one.OtherPatientIDs, one.PatientAddress = "SECRET-4711", "Secret Street 1"
        one.DeviceSerialNumber = one.StationName = one.ProtocolName = "SECRET-4711"
        block = one.private_block(0x0011, "SECRET MAKER", create=True)
        block.add_new(0x01, "LO", "Secret^Patient")
    return save(folder, slices)


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    """A CT before, one after with a block of cement in T7 and a bead in its canal, and labels."""
    folder = tmp_path_factory.mktemp("ward")
    ct = read_ct(Path(str(SAMPLE / "t5-t9_ct.nii.gz"))).volume
    labels = read_labels(Path(str(SAMPLE / "t5-t9_labels.nii.gz")), ct=ct).labels
    after = np.array(ct.array)
    place = ct.grid.to_world(np.indices(ct.grid.shape).reshape(3, -1).T)
    vertebra = build_vertebra(ct, labels, "T7")
    middle = vertebra.frame.origin_mm
    bead = vertebra.frame.to_world(vertebra.local_points(CANAL).mean(axis=0) + np.array([3.0, 0.0, 0.0]))
    for centre, radius in ((middle, 8.0), (bead, 2.5)):
        ball = np.linalg.norm(place - centre, axis=1) < radius
        after[ball.reshape(after.shape)] = 3000
    named = folder / "Secret Patient Q4711.nii.gz"
    named.write_bytes((SAMPLE / "t5-t9_labels.nii.gz").read_bytes())
    return {
        "before": series(folder / "Secret before", ct, ct.array),
        "after": series(folder / "Secret after", ct, after),
        "labels": named,
        "folder": folder,
    }


COMMANDS = {
    "check": (60, "after"),
    "check-preop": (60, "after", "--preop", "before"),
    "assess": (0, "before"),
    "plan": (0, "before"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_written_or_printed_names_the_patient(ward, name):
    code, ct, *more = COMMANDS[name]
    command = name.partition("-")[0]
    given = [ward.get(part, part) for part in more]
    done = kypho(
        *(command, ward[ct], "--labels", ward["labels"], "--level", "T7", *given, "--out", name),
        cwd=ward["folder"],
    )
    assert done.returncode == code, done.stderr
    case = ward["folder"] / name
    written = {
        path.relative_to(case).as_posix(): path.read_bytes() for path in case.rglob("*") if path.is_file()
    }
    assert any(entry.endswith(".json") for entry in written)
    # What is not listed there is not looked for before the work.
    assert not [entry for entry in written if not any(PurePath(entry).match(own) for own in WRITES[command])]
    if command == "check":
        assert {"cement.seg.dcm", "leakage.sr.dcm"} <= set(written)
    shown = {"terminal": (done.stdout + done.stderr).encode(), **written}
    for entry, content in shown.items():
        found = [secret for secret in SECRETS if secret.encode() in _plain(entry, content)]
        assert not found, f"{entry}: {found}"


def _plain(name, content):
    """Bytes as they are read: unpacked, and of a page without the pictures, whose letters come by chance."""
    if name.endswith(".gz"):
        return gzip.decompress(content)
    if name.endswith(".png"):
        return b"".join(_chunks(content))
    return re.sub(rb"data:image[^\"']*", b"", content)


def _chunks(png):
    """The text of a PNG; its pixels are compressed."""
    at = 8
    while at < len(png):
        size, kind = int.from_bytes(png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + size]
        yield (
            zlib.decompress(body.partition(b"\0\0")[2])
            if kind == b"zTXt"
            else b""
            if kind == b"IDAT"
            else body
        )
        at += 12 + size


def test_the_search_finds_what_it_should():
    """The same search over what holds a name, packed and unpacked."""
    for name, content in (("a.nii.gz", gzip.compress(b"x Secret y")), ("a.json", b'{"name": "Secret"}')):
        assert b"Secret" in _plain(name, content)
