"""Which files each command writes into a case folder: what stands in their way is found before the work."""

from __future__ import annotations

from pathlib import Path

from kypho.errors import OutputError

__all__ = ["WRITES", "require_places"]

WRITES: dict[str, tuple[str, ...]] = {
    "assess": ("assessment.json", "assessment.html", "assessment.manifest.json", "figures/assessment_*.png"),
    "check": (
        *("leakage.json", "leakage.nii.gz", "leakage.html", "leakage.manifest.json"),
        *("cement.seg.dcm", "leakage.sr.dcm", "figures/leakage_*.png"),
    ),
    "phantom": ("ct.nii.gz", "labels.nii.gz", "labels.json", "truth.json"),
    "plan": (
        *("plan.json", "assessment.json", "report.html", "manifest.json", "figures/*.png"),
        *("markups.mrk.json", "needles.csv", "needles.stl", "regions.nii.gz", "regions.seg.dcm"),
    ),
    "rehearse": (
        *("rehearsal.json", "rehearsal.html", "rehearsal.manifest.json", "rehearsal-figures/*.png"),
        *("cement.nii.gz", "compartments.nii.gz", "temperature_peak.nii.gz", ".rehearsal-members.jsonl"),
    ),
    "sample": ("t5-t9_ct.nii.gz", "t5-t9_labels.nii.gz", "README.md"),
}
"""Command to the names, or patterns of names, of all that it may write."""


def require_places(out: Path, command: str) -> None:
    """Find out before the work whether something stands where a file of this command must go.

    Raises:
        OutputError: a folder under the name of a file, or a file under that of a folder.
    """
    for name in WRITES[command]:
        folder = (out / name).parent
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file where a folder must go; move it or choose another --out")
        for place in out.glob(name):
            if place.is_dir():
                raise OutputError(
                    f"{place} is a folder where a file must go; move it or choose another --out"
                )
