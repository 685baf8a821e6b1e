"""The founding case, synthetic: intradural cement on the left of T7, read on the CT after the operation.

    python examples/03_founding_case_check.py [FOLDER]

In the case of Mao, Xiong & Li 2024 (doi 10.12998/wjcc.v12.i10.1837) cement within the dura on the left of T7
was found two weeks after kyphoplasty, with the patient paraplegic. Here cement of that kind is drawn into the
bundled CT (no CT of the real case is at hand), a scanner is simulated, and the result goes through the check:
it must name the dura, the side, and an action at once.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path

from kypho.case.leakage.document import LeakageDocument
from kypho.case.leakage.files import write_leakage
from kypho.case.leakage.run import LeakageResult, check_case
from kypho.formats import read_ct, read_labels, write_nifti
from kypho.phantoms.postop import Leak, PostopPhantom, PostopRecipe, write_truth
from kypho.phantoms.postop_site import SyntheticSite, synthetic_site
from kypho.phantoms.xray_ct import Scanner
from kypho.report.leakage import render_leakage

SAMPLE = Path(str(files("kypho.formats").joinpath("sample")))
RECIPE = PostopRecipe(
    seed=17,
    leaks=(Leak(route="intradural", side="left", volume_ml=0.25),),
    fill_ml=2.2,
    scanner=Scanner(fwhm_mm=1.4),
    native_fwhm_mm=1.25,
)


def draw() -> tuple[SyntheticSite, PostopPhantom]:
    """The bundled CT around T7 on 1.25 mm slices, with the cement in it."""
    ct = read_ct(SAMPLE / "t5-t9_ct.nii.gz").volume
    labels = read_labels(SAMPLE / "t5-t9_labels.nii.gz", ct=ct).labels
    site = synthetic_site(ct, labels, "T7", 1.25)
    return site, site.draw(RECIPE)


def check(folder: Path) -> tuple[PostopPhantom, LeakageResult, LeakageDocument]:
    """Write the synthetic CT, read it back as a user would, check it, and write the case folder."""
    folder.mkdir(parents=True, exist_ok=True)
    site, phantom = draw()
    write_nifti(folder / "synthetic_ct.nii.gz", phantom.ct, synthetic=True)
    write_nifti(folder / "labels.nii.gz", site.labels.volume)
    write_truth(folder / "truth.json", phantom)
    ct = read_ct(folder / "synthetic_ct.nii.gz")
    labels = read_labels(folder / "labels.nii.gz", ct=ct.volume)
    result = check_case(ct, labels, "T7", lambda _: nullcontext(), notes=("synthetic cement on a real CT",))
    document = write_leakage(result, folder / "check", {}, lambda _: nullcontext(), render_leakage)
    return phantom, result, document


def main() -> None:
    """Run the case and print truth beside finding."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("founding-case-check")
    phantom, _, document = check(folder)
    truth, found = phantom.truth["canal"], document.canal
    percent = found.max_encroachment_percent
    print("synthetic truth | found")
    print(f"state  {truth['state']} | {found.state}")
    print(f"side   {truth['side']} | {found.side}")
    print(
        f"taken  {truth['max_percent']:.1f} % | {percent.value:.1f} % "
        f"({percent.low:.1f} to {percent.high:.1f})"
    )
    print(f"volume {truth['ml']:.3f} mL | {found.ml:.3f} mL")
    for action in document.actions:
        print(f"{action.urgency.replace('_', ' ')}: {action.what}")
    print(f"report: {folder / 'check' / 'leakage.html'}")


if __name__ == "__main__":
    main()
