"""What the findings mean for the needle, the dose and the cement, in a line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kypho.evidence import value
from kypho.fracture.assess import Assessment

__all__ = ["Advice", "advice"]

Topic = Literal["needle", "dose", "cement", "imaging"]


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One consequence: for what, because of which factor, in words; its finding names the evidence."""

    topic: Topic
    factor: str
    text: str


IF_PRESENT: dict[str, tuple[tuple[Topic, str], ...]] = {
    "posterior_wall_defect": (
        (
            "needle",
            "Keep the tip in the anterior third; if the defect lies on one side, come from the other.",
        ),
        ("dose", "Stop when cement nears the posterior third; small steps under lateral view."),
        ("cement", "Prefer high viscosity; a first small plug may close the defect before more follows."),
    ),
    "cortical_defect": (
        ("needle", "Route away from the open wall."),
        ("cement", "Prefer high viscosity and slow injection; look at the open side in its own view."),
    ),
    "retropulsion": (
        ("needle", "The canal is narrowed: any leak there weighs more. Check the cord on MRI first."),
    ),
    "pedicle_wall_defect": (
        ("needle", "Do not pass this pedicle: use the other side, or go outside the pedicle."),
    ),
    "intravertebral_cleft": (
        ("needle", "The cleft is a target: cement fills it first."),
        ("dose", "Expect less resistance until the cleft is full; then pressure rises at once."),
        ("cement", "Leaks through cortex and disc are likelier, through veins less likely."),
    ),
    "schmorl_node": (("cement", "Cement may pass through the endplate: stay off the pit, watch the disc."),),
    "severe_compression": (
        ("needle", "Little room between the endplates: plan the tip in the plane of the body, small device."),
        ("dose", "The body holds little cement: reduce the volume."),
    ),
    "high_resistance": (("needle", "Hard bone: the needle may deviate; drill or hammer in small steps."),),
    "low_bone_density": (("needle", "Soft bone: the needle advances easily; do not lean on it."),),
    "pathological_fracture": (
        ("imaging", "Look for the primary tumour before or together with the operation; take a biopsy."),
        (
            "cement",
            "The models for osteoporosis do not apply; `--metastasis GROWTH` uses the one for metastasis.",
        ),
    ),
    "cord_compression": (
        ("needle", "The MR shows the cord compressed: cement alone does not free it; ask a surgeon first."),
        ("dose", "No room for a leak behind this body: stop well before the posterior third."),
    ),
    "canal_narrowing": (("dose", "The MR shows a narrow canal here: any leak into it weighs more."),),
    "cord_signal": (
        ("imaging", "The MR shows a bright cord: examine and write down its function before puncture."),
    ),
    "bone_oedema": (
        ("imaging", "Oedema on the MR: a fresh or unhealed break, or a tumour; it supports this level."),
    ),
}
"""Factor to what follows if it is there; every factor of `FACTORS` has a line."""

IF_UNKNOWN: dict[str, tuple[Topic, str]] = {
    "posterior_wall_defect": (
        "imaging",
        "The posterior wall cannot be judged here: thin slices before puncture.",
    ),
    "cortical_defect": ("imaging", "The cortex cannot be judged on this scan: thin slices before puncture."),
    "pedicle_wall_defect": (
        "imaging",
        "A pedicle's medial wall cannot be judged on this scan: thin slices before passing it.",
    ),
    "intravertebral_cleft": ("imaging", "A fluid cleft cannot be excluded on this CT: see MRI (STIR)."),
    "pathological_fracture": ("imaging", "A tumour cannot be excluded on this CT: see MRI."),
    "retropulsion": ("imaging", "A small retropulsion cannot be excluded: look at the canal on MRI."),
    "severe_compression": (
        "imaging",
        "The loss of height is not known: judge it on a wider or thinner scan.",
    ),
}
"""Factor to what follows if it could not be judged, where something does."""


def advice(result: Assessment) -> tuple[Advice, ...]:
    """The consequences of every finding that is present, and of those that could not be assessed.

    These are habits of careful practice and the founding case's lessons put in words; no effect size is
    known for needle angle or tip position.
    """
    lines: list[Advice] = []
    for finding in result.findings:
        if finding.state == "present":
            for topic, text in IF_PRESENT.get(finding.factor, ()):
                lines.append(Advice(topic=topic, factor=finding.factor, text=text))
        elif finding.state == "not_assessable" and finding.factor in IF_UNKNOWN:
            topic, text = IF_UNKNOWN[finding.factor]
            lines.append(Advice(topic=topic, factor=finding.factor, text=text))
    if result.foreign_ml > value("fracture.foreign_ml"):
        text = "Cement or metal is already in this body: its space is taken and its walls cannot be judged."
        lines.append(Advice(topic="dose", factor="foreign_material", text=text))
    return tuple(lines)
