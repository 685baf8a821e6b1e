"""What to do: each action with its reason and the record that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kypho.evidence import record, value
from kypho.leakage.canal import CanalFinding
from kypho.leakage.routes import Routing

__all__ = ["Action", "actions_for", "most_urgent_first", "mri_actions"]


@dataclass(frozen=True, kw_only=True)
class Action:
    """What to do, how soon, why, and on what evidence.

    Attributes:
        what: the action.
        urgency: "at_once", "soon" or "routine".
        why: the finding behind it.
        evidence: id of the record.
        confirmed: whether the record was read in its source.
    """

    what: str
    urgency: str
    why: str
    evidence: str
    confirmed: bool


def actions_for(
    level: str,
    canal: CanalFinding,
    routings: Sequence[Routing],
    doubtful_in_canal: int,
    *,
    dense_body_ml: float = 0.0,
) -> tuple[Action, ...]:
    """Actions for the findings of one level, the most urgent first."""
    found = []
    if canal.found:
        found += _canal_actions(level, canal)
    if not canal.readable:
        found.append(
            _action(
                "MRI of the level (or CT with metal-artefact reduction)",
                "soon",
                "streaks or metal hide part of the canal; absence of a leak cannot be stated",
                "leak.streak_hu",
            )
        )
    if dense_body_ml > 0:
        found.append(
            _action(
                "compare with the CT before the operation, and MRI of the level",
                "soon",
                f"dense place of {dense_body_ml:.1f} mL in the body: cement of low contrast or sclerosis; a "
                "leak of such cement cannot be excluded",
                "leak.faint_hu",
            )
        )
    if doubtful_in_canal:
        found.append(
            _action(
                "compare with the pre-operative CT",
                "soon",
                f"{doubtful_in_canal} dense speck(s) in the canal: calcification or little cement",
                "leak.speck_hu",
            )
        )
    if any(r.likely == "systemic" for r in routings):
        found.append(
            _action("CT of the chest", "soon", "cement in a vein away from the vertebra", "leak.remote_mm")
        )
    if any(r.likely == "foraminal" for r in routings):
        found.append(
            _action(
                "examine the nerve root of the level", "soon", "cement in a foramen", "leak.tube_diameter_mm"
            )
        )
    found.append(
        _action(
            "let any new deficit decide, whatever the images show",
            "routine",
            "deficits without compression on CT and MRI are described",
            "action.no_compression",
        )
    )
    return tuple(found)


def mri_actions(mscc_percent: float | None, mcc_percent: float | None) -> tuple[Action, ...]:
    """Actions for cord and canal on an MR: loss of their sagittal diameter, None where not assessable."""
    found = []
    if mscc_percent is not None and mscc_percent >= value("mri.cord_compression_percent"):
        found.append(
            _action(
                "neurological examination and a spine surgeon's opinion: the cord is compressed",
                "at_once",
                f"the cord has lost {mscc_percent:.0f} % of its sagittal diameter on the MR",
                "mri.cord_compression_percent",
            )
        )
    if mcc_percent is not None and mcc_percent >= value("mri.canal_narrowing_percent"):
        found.append(
            _action(
                "neurological examination, repeated at short intervals: the canal is narrowed",
                "soon",
                f"the canal has lost {mcc_percent:.0f} % of its sagittal diameter on the MR",
                "mri.canal_narrowing_percent",
            )
        )
    return tuple(found)


def most_urgent_first(actions: Sequence[Action]) -> tuple[Action, ...]:
    """The actions by urgency, otherwise in their order."""
    return tuple(sorted(actions, key=lambda a: ("at_once", "soon", "routine").index(a.urgency)))


def _canal_actions(level: str, canal: CanalFinding) -> list[Action]:
    found = []
    state, percent = canal.dura.state, canal.max_encroachment_percent.value
    if state in ("intradural", "both", "undetermined"):
        found.append(
            _action(
                "neurological examination, MRI of the cord and a spine surgeon's opinion",
                "at_once",
                f"cement in the canal, {state} ({canal.side}), {percent:.0f} % of its area",
                "action.intradural",
            )
        )
    if level.startswith(("C", "T")):
        found.append(
            _action(
                "raise the watch level: examine the legs at short intervals, also without symptoms",
                "at_once" if state != "epidural" else "soon",
                f"cement in a cervical or thoracic canal, {percent:.0f} % of its area",
                "action.canal_thoracic",
            )
        )
    else:
        found.append(
            _action(
                "neurological examination, MRI if there is any deficit",
                "soon",
                f"cement in the lumbar canal, {percent:.0f} % of its area",
                "leak.canal_decompressed_thoracic",
            )
        )
    return found


def _action(what: str, urgency: str, why: str, evidence: str) -> Action:
    return Action(
        what=what, urgency=urgency, why=why, evidence=evidence, confirmed=record(evidence).confirmed
    )
