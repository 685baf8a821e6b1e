"""What to do: each action with its reason. The action itself is the evidence record of its topic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from kypho.evidence import record, value
from kypho.leakage.canal import CanalFinding
from kypho.leakage.routes import Route, Routing

__all__ = ["TOPICS", "Action", "Urgency", "actions_for", "most_urgent_first", "mri_actions"]

Urgency = Literal["at_once", "soon", "routine"]

TOPICS: tuple[str, ...] = (
    "intradural",
    "canal_cord",
    "canal_lumbar",
    "unreadable",
    "faint_cement",
    "doubtful_speck",
    "canal_elsewhere",
    "vein",
    "foramen",
    "cord_compressed",
    "canal_narrowed",
    "no_compression",
)
"""What there is an action for; the evidence record ``action.TOPIC`` holds the action."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """What to do, how soon, why, and on what evidence.

    Attributes:
        topic: one of TOPICS.
        urgency: how soon.
        why: the finding behind it.
    """

    topic: str
    urgency: Urgency
    why: str

    @property
    def evidence(self) -> str:
        """Id of the record that holds the action and says what it rests on."""
        return f"action.{self.topic}"

    @property
    def what(self) -> str:
        """The action."""
        return str(value(self.evidence))

    @property
    def confirmed(self) -> bool:
        """Whether the action was read in a source."""
        return record(self.evidence).confirmed


def actions_for(
    level: str,
    canal: CanalFinding,
    routings: Sequence[Routing],
    specks_in_canal: int,
    *,
    dense_body_ml: float = 0.0,
    canal_elsewhere_ml: float = 0.0,
    canal_elsewhere_at: str = "",
    strange: Sequence[str] = (),
) -> tuple[Action, ...]:
    """Actions for the findings of one level, the most urgent first.

    Args:
        level: "T7".
        canal: the canal.
        routings: of every part.
        specks_in_canal: dense specks in the canal that are too small or too uncertain for a leak.
        dense_body_ml: a dense place in the body that may be faint cement.
        canal_elsewhere_ml, canal_elsewhere_at: as dense as cement in the canal away from the level; where.
        strange: what else in the canal is neither tissue nor cement, in words.
    """
    found = _canal_actions(level, canal) if canal.found else []
    if not canal.readable:
        why = "streaks or metal hide part of the canal; absence of a leak cannot be stated"
        found.append(Action(topic="unreadable", urgency="soon", why=why))
    found += [Action(topic="unreadable", urgency="soon", why=f"the canal: {what}") for what in strange]
    if dense_body_ml > 0:
        why = (
            f"dense place of {dense_body_ml:.1f} mL in the body: cement of low contrast or sclerosis; a leak "
            "of such cement cannot be excluded"
        )
        found.append(Action(topic="faint_cement", urgency="soon", why=why))
    if specks_in_canal:
        many = "a dense speck" if specks_in_canal == 1 else f"{specks_in_canal} dense specks"
        why = f"{many} in the canal: calcification or little cement"
        found.append(Action(topic="doubtful_speck", urgency="soon", why=why))
    if canal_elsewhere_ml > 0:
        why = f"{canal_elsewhere_ml:.2f} mL as dense as cement in the canal away from {level}, at "
        why += canal_elsewhere_at
        found.append(Action(topic="canal_elsewhere", urgency="soon", why=why))
    if why := _of_route(routings, "systemic", "in a vein away from the vertebra"):
        found.append(Action(topic="vein", urgency="soon", why=why))
    if why := _of_route(routings, "foraminal", "in a foramen"):
        found.append(Action(topic="foramen", urgency="soon", why=why))
    why = "deficits without compression on CT and MRI are described"
    return most_urgent_first((*found, Action(topic="no_compression", urgency="routine", why=why)))


def _of_route(routings: Sequence[Routing], likely: Route, where: str) -> str:
    """The finding behind an action for a route, or an empty string; a speck is not firmly cement."""
    routes = [r.route for r in routings if r.likely == likely]
    if not routes:
        return ""
    return (
        f"a dense speck {where}: calcification or little cement"
        if set(routes) == {"indeterminate"}
        else (f"cement {where}")
    )


def mri_actions(mscc_percent: float | None, mcc_percent: float | None) -> tuple[Action, ...]:
    """Actions for cord and canal on an MR: loss of their sagittal diameter, None where not assessable."""
    found = []
    if mscc_percent is not None and mscc_percent >= value("mri.cord_compression_percent"):
        why = f"the cord is compressed: {mscc_percent:.0f} % of its sagittal diameter lost on the MR"
        found.append(Action(topic="cord_compressed", urgency="at_once", why=why))
    if mcc_percent is not None and mcc_percent >= value("mri.canal_narrowing_percent"):
        why = f"the canal is narrowed: {mcc_percent:.0f} % of its sagittal diameter lost on the MR"
        found.append(Action(topic="canal_narrowed", urgency="soon", why=why))
    return tuple(found)


def most_urgent_first(actions: Sequence[Action]) -> tuple[Action, ...]:
    """The actions by urgency, otherwise in their order."""
    return tuple(sorted(actions, key=lambda a: get_args(Urgency).index(a.urgency)))


def _canal_actions(level: str, canal: CanalFinding) -> list[Action]:
    found = []
    state, taken = canal.dura.state, f"{canal.max_encroachment_percent.value:.0f} % of its area"
    if state in ("intradural", "both", "undetermined"):
        how = {"both": "epidural and intradural", "undetermined": "within or outside the dura undetermined"}
        why = f"cement in the canal, {how.get(state, state)} ({canal.side}), {taken}"
        found.append(Action(topic="intradural", urgency="at_once", why=why))
    much = canal.max_encroachment_percent.value >= value("leak.canal_at_once_percent")
    if level.startswith(("C", "T")) or level == "L1":
        share = f"; {_decompressed('thoracic')}" if level.startswith("T") else ""
        why = f"cement in the canal beside the cord, {taken}{share}"
        soon = state == "epidural" and not much
        found.append(Action(topic="canal_cord", urgency="soon" if soon else "at_once", why=why))
    else:
        why = f"cement in the canal below the cord, {taken}; {_decompressed('lumbar')}"
        found.append(Action(topic="canal_lumbar", urgency="at_once" if much else "soon", why=why))
    return found


def _decompressed(region: str) -> str:
    share = 100 * value(f"leak.canal_decompressed_{region}")
    return f"{share:.0f} % of the {region} canal leaks of one small series were decompressed"
