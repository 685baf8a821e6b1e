"""Label a raw CT with a segmenter that is already installed. kypho trains none of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kypho.errors import LabelsNeededError, MissingPartError
from kypho.formats.labels import LabelsInput, read_labels
from kypho.formats.nifti import write_nifti
from kypho.space import Volume

__all__ = ["find_labels", "totalsegmentator_command"]

PROGRAM = "TotalSegmentator"
THREE_WAYS = (
    "(1) install the extra kypho[segment] and run again, (2) run TotalSegmentator on the CT elsewhere and "
    "give its output with --labels, (3) label the vertebrae in 3D Slicer or ITK-SNAP and give the label map "
    "or DICOM SEG with --labels, and --scheme NAMES.json if its numbers are your own"
)


def totalsegmentator_command() -> str | None:
    """The installed TotalSegmentator program: beside this Python, else on the path; None without one."""
    beside = Path(sys.executable).parent / PROGRAM
    return str(beside) if beside.is_file() else shutil.which(PROGRAM)


def find_labels(ct: Volume, *, options: Sequence[str] = ()) -> LabelsInput:
    """Labels of a CT by TotalSegmentator, task ``total``.

    The CT goes to it as NIfTI, because the program turns DICOM input to axes of its own.

    Args:
        ct: HU.
        options: further arguments of the program, such as ``--fast`` or ``--device cpu``.

    Raises:
        LabelsNeededError: it is not installed; the message names the three ways to get labels.
        MissingPartError: it is installed but fails.
        LabelsError: its output cannot be used.
    """
    program = totalsegmentator_command()
    if program is None:
        raise LabelsNeededError(f"no labels given and no segmenter is installed. Three ways on: {THREE_WAYS}")
    with tempfile.TemporaryDirectory(prefix="kypho-seg-", ignore_cleanup_errors=True) as folder:
        image, output = Path(folder) / "ct.nii.gz", Path(folder) / "labels.nii.gz"
        write_nifti(image, ct)
        call = [program, "-i", str(image), "-o", str(output), "--ml", "--task", "total", *options]
        done = subprocess.run(call, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode != 0 or not output.is_file():
            last = " ".join((done.stderr or done.stdout).strip().splitlines()[-1:])[:200]
            raise MissingPartError(
                f"{PROGRAM} ended with code {done.returncode} ({last or 'no message'}); run it by hand and "
                "give its output with --labels"
            )
        found = read_labels(output, scheme="totalsegmentator", ct=ct)
    note = f"labels made by {PROGRAM}, task total; they are automatic and need checking"
    return LabelsInput(labels=found.labels, sha256=found.sha256, notes=(note, *found.notes))
