"""What an event says in words: for lists, for the timeline and for the sentences of a case report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kypho.followup import Event
from kypho.followup import events as ev
from kypho.followup.facts_labs import describe
from kypho.followup.facts_neuro import VOIDING
from kypho.followup.findings import Bladder, Pain, Scores, pain_words, side_words
from kypho.followup.labs import flag

__all__ = [
    "PROCEDURES",
    "administration_words",
    "describe_event",
    "examination_words",
    "imaging_words",
    "lab_words",
    "symptom_words",
]

PROCEDURES = {"PKP": "percutaneous kyphoplasty", "PVP": "percutaneous vertebroplasty"}
TRENDS = {"new": "new ", "progressive": "progressive ", "worse": "worsening "}
SETTLED = {"stable": ", unchanged", "same": ", unchanged", "better": ", better", "resolved": ", resolved"}
SYMPTOMS = {"saddle_numbness": "numbness of the saddle", "other": "another symptom"}
FLAGS = {"unknown": "no reference range"}


def describe_event(event: Event) -> str:
    """What an event says, in a line: its findings, then the words that were recorded with it."""
    body: Any = event.body
    words = _WORDS[event.kind](body)
    said = getattr(body, "text", None) if event.kind in ("examination", "imaging", "symptom") else None
    return "; ".join(part for part in (words, said) if part)


def symptom_words(body: ev.Symptom) -> str:
    """A symptom with its course and side: "progressive numbness on both sides"."""
    trend = body.trend
    if body.pain is not None:
        name = pain_words(body.pain.model_copy(update={"side": _side(body)}))
        name += f", {body.pain.score} of 10" if body.pain.score is not None else ""
        trend = body.pain.trend if trend == "unknown" else trend  # type: ignore[assignment]  # worse is shown
    elif body.symptom == "leg_weakness":
        name = {"both": "weakness of both legs", "unknown": "weakness of the legs"}.get(
            body.side, f"weakness of the {body.side} leg"
        )
    else:
        name = SYMPTOMS.get(body.symptom, body.symptom.replace("_", " ")) + side_words(body.side)
    during = " during the injection" if body.during_injection else ""
    return TRENDS.get(trend, "") + name + during + SETTLED.get(trend, "")


def _side(body: ev.Symptom) -> str:
    known = body.pain.side if body.pain is not None else "unknown"
    return body.side if known == "unknown" else known


def examination_words(body: ev.Examination) -> str:
    """Every finding of an examination that was recorded; what was not examined is not named."""
    found = [f"could not be examined: {body.untestable}"] if body.untestable else []
    found += ["during the injection"] if body.during_injection else []
    found += [f"strength of the legs {body.legs}"] if body.legs == "normal" else []
    found += [f"legs {body.legs}"] if body.legs in ("weak", "immobile") else []
    found += _scores("strength", body.motor, "5", "key muscles")
    found += [f"limited by pain: {', '.join(body.pain_limited)}"] if body.pain_limited else []
    found += [f"sensation {body.sensation}"] if body.sensation != "unknown" else []
    found += [f"sensory level {body.sensory_level}"] if body.sensory_level else []
    found += _scores("light touch", body.light_touch, "2", "dermatomes")
    found += _scores("pin prick", body.pin_prick, "2", "dermatomes")
    for side, reflexes in body.reflexes.items():
        found += [f"{side} {name.replace('_', ' ')} reflex {state}" for name, state in reflexes.items()]
    found += [f"saddle sensation {body.saddle}"] if body.saddle != "NT" else []
    for name in ("voluntary_anal_contraction", "deep_anal_pressure"):
        state = getattr(body, name)
        found += [f"{name.replace('_', ' ')}: {state.lower()}"] if state != "NT" else []
    found += [_pain(pain) for pain in body.pains]
    found += _bladder(body.bladder) if body.bladder is not None else []
    found += [f"temperature {body.temperature_c:g} °C"] if body.temperature_c is not None else []
    found += [f"oxygen saturation {body.spo2_percent:g} %"] if body.spo2_percent is not None else []
    return "; ".join(found)


def _scores(name: str, scores: Scores, full: str, of: str) -> list[str]:
    """What is not full, muscle by muscle, and how many are."""
    all_of_them = [(side, level, score) for side, part in scores.items() for level, score in part.items()]
    if not all_of_them:
        return []
    odd = [f"{side} {level} {score}" for side, level, score in all_of_them if score != full]
    rest = len(all_of_them) - len(odd)
    if not odd:
        return [f"{name} {full} in all {rest} {of} tested"]
    return [f"{name} {', '.join(odd)}" + (f"; {full} in the other {rest} {of} tested" if rest else "")]


def _pain(pain: Pain) -> str:
    score = f", {pain.score} of 10" if pain.score is not None else ""
    radiating = ", radiating" if pain.radiating == "yes" else ""
    return TRENDS.get(pain.trend, "") + pain_words(pain) + score + radiating + SETTLED.get(pain.trend, "")


def _bladder(bladder: Bladder) -> list[str]:
    found = [VOIDING.get(bladder.voiding, "voiding normal")] if bladder.voiding != "unknown" else []
    found += [f"post-void residual {bladder.pvr_ml:g} mL"] if bladder.pvr_ml is not None else []
    return found + {"yes": ["catheter in place"], "no": ["no catheter"]}.get(bladder.catheter, [])


def imaging_words(body: ev.Imaging) -> str:
    """What an image showed; empty where only free words were recorded."""
    where = f" at {', '.join(body.levels)}" if body.levels else ""
    found = []
    if body.canal_cement == "yes":
        place = f", {body.compartment}" if body.compartment not in ("unknown", "both") else ""
        place = ", epidural and intradural" if body.compartment == "both" else place
        found.append(f"cement in the canal{where}{side_words(body.side)}{place}")
    elif body.canal_cement == "no":
        found.append(f"no cement in the canal{where}")
    if body.encroachment_percent is not None:
        high = body.encroachment_high_percent
        most = f" (at most {high:g} %)" if high is not None and high > body.encroachment_percent else ""
        found.append(f"{body.encroachment_percent:g} % of the canal's area taken{most}")
    if body.cord_compression != "unknown":
        found.append("cord compressed" if body.cord_compression == "yes" else "no compression of the cord")
    return ", ".join(found)


def lab_words(body: ev.Lab) -> str:
    """A laboratory value and where it stands in the laboratory's own range."""
    state = flag(body)
    return f"{describe(body)} ({FLAGS.get(state, state)})"


def administration_words(body: ev.Procedure) -> str:
    """How the procedure was done, as far as it was recorded; empty where nothing was."""
    cement = " ".join(
        part
        for part in (
            f"{body.volume_ml:g} mL of" if body.volume_ml is not None else "",
            body.cement or ("cement" if body.volume_ml is not None or body.rate_ml_min is not None else ""),
            f"(lot {body.lot})" if body.lot else "",
            f"at {body.rate_ml_min:g} mL/min" if body.rate_ml_min is not None else "",
        )
        if part
    )
    parts = (
        cement,
        f"approach {body.approach}" if body.approach else "",
        f"device {body.device}" if body.device else "",
    )
    return "; ".join(part for part in parts if part)


def _procedure(body: ev.Procedure) -> str:
    trouble = f"complications: {', '.join(body.complications)}" if body.complications else ""
    parts = (f"{body.procedure} at {body.level}", administration_words(body), trouble)
    return "; ".join(part for part in parts if part)


def _imaging(body: ev.Imaging) -> str:
    asked = f", requested {body.requested.words}" if body.requested else ""
    name = f"{body.modality}{f' of the {body.region}' if body.region else ''}{asked}"
    shown = imaging_words(body)
    return f"{name}: {shown}" if shown else name


def _enrolment(body: ev.Enrolment) -> str:
    born = f"born {body.birth_year}" if body.birth_year is not None else "birth year unknown"
    kind = ", synthetic: no patient" if body.synthetic else ""
    return f"sex {body.sex}, {born}, time zone {body.zone}{kind}"


def _decision(body: ev.Decision) -> str:
    reason = f", because {body.reason}" if body.reason else ""
    return body.decision + reason + (f"; closes {', '.join(body.closes)}" if body.closes else "")


def _treatment(body: ev.Treatment) -> str:
    why = f"for {body.purpose}" if body.purpose else None
    return ", ".join(part for part in (body.treatment, body.dose, body.route, why) if part)


def _diagnosis(body: ev.Diagnosis) -> str:
    grade = f", AIS {body.ais}" if body.ais else ""
    return body.diagnosis + grade + ("" if body.certainty == "confirmed" else f" ({body.certainty})")


def _encounter(body: ev.Encounter) -> str:
    place = f", {body.place}" if body.place else ""
    return f"{body.move}{place}" + (f"; {body.text}" if body.text else "")


_WORDS: dict[str, Callable[[Any], str]] = {
    "enrolment": _enrolment,
    "procedure": _procedure,
    "examination": examination_words,
    "lab": lab_words,
    "imaging": _imaging,
    "symptom": symptom_words,
    "decision": _decision,
    "operation": lambda b: b.operation + (f"; findings: {b.findings}" if b.findings else ""),
    "treatment": _treatment,
    "diagnosis": _diagnosis,
    "encounter": _encounter,
    "note": lambda b: b.text + (f" (for CARE {b.care})" if b.care else ""),
    "perspective": lambda b: b.text,
    "consent": lambda b: f"consent {'given' if b.given == 'yes' else 'refused'}: {b.scope}",
    "retraction": lambda b: f"taken back: {b.reason}",
}
"""Kind of event to what puts its body into words."""
