"""The report of an assessment: one page to read in a minute, with the table and the risk below."""

from __future__ import annotations

from pathlib import Path

from kypho.case.assessment.document import AssessmentDocument
from kypho.case.assessment.run import AssessmentResult
from kypho.evidence import record
from kypho.report.assessment_figures import body_figure, cortex_figure
from kypho.report.html import embed, render_page, save_figure
from kypho.report.mri import mri_figure

__all__ = ["headline", "render_assessment"]

OF_THE_GRADE = ("fracture.genant.", "fracture.height.")
"""Records behind heights and grade, which are no finding of their own."""


def render_assessment(result: AssessmentResult, document: AssessmentDocument, folder: Path) -> None:
    """Write figures/assessment_*.png and assessment.html into a folder."""
    figures = {
        "body": body_figure(result.vertebra, result.assessment),
        "cortex": cortex_figure(result.assessment),
    }
    if result.mri is not None:
        figures["mri"] = mri_figure(result.vertebra, result.mri)
    files = {
        name: save_figure(figure, folder / "figures" / f"assessment_{name}.png")
        for name, figure in figures.items()
    }
    used = {i for finding in document.findings for i in finding.evidence}
    used |= {i for i in result.records if i.startswith(OF_THE_GRADE)}
    render_page(
        "assessment.html",
        folder / "assessment.html",
        a=document,
        headline=headline(document),
        figures={name: embed(path) for name, path in files.items()},
        evidence=[record(i) for i in sorted(used)],
        synthetic=result.ct.synthetic,
    )


def headline(document: AssessmentDocument) -> str:
    """The level in one sentence: type and grade, what is damaged, what could not be seen."""
    genant = document.genant
    if genant.grade is None:
        first = "height loss not assessable"
    elif genant.grade == 0:
        first = "no loss of height that counts"
    else:
        first = f"{genant.type} deformity, Genant grade {genant.grade}"
    if genant.grade_range is not None and genant.grade_range[0] != genant.grade_range[1]:
        low, high = genant.grade_range
        first += f" (grade {low} to {high} within its uncertainty)"
    by_state: dict[str, list[str]] = {"present": [], "not_assessable": []}
    for finding in document.findings:
        if finding.state in by_state:
            by_state[finding.state].append(finding.factor.replace("_", " "))
    parts = [first]
    if by_state["present"]:
        parts.append("present: " + ", ".join(by_state["present"]))
    if by_state["not_assessable"]:
        parts.append("not assessable: " + ", ".join(by_state["not_assessable"]))
    return "; ".join(parts) + "."
