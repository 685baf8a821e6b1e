"""From a record to facts: short true statements with a time and the events they come from.

A fact says that something abnormal was found or reported after the procedure. Facts only accumulate: an event
entered later adds facts and takes none away (a correction does, and that is what corrections are for).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from kypho.evidence import value
from kypho.followup.events import Diagnosis, Event, Examination, Imaging, Symptom
from kypho.followup.facts_base import Fact, fact
from kypho.followup.facts_labs import lab_facts
from kypho.followup.facts_neuro import neuro_facts
from kypho.followup.findings import Pain, pain_words
from kypho.followup.record import Record
from kypho.followup.segments import VERTEBRAE, segment_index, site_dermatomes
from kypho.followup.times import When

__all__ = ["DEFICIT_FACTS", "LOCAL_SITES", "Fact", "concerns_cord", "deficits", "facts_of", "onset"]

DEFICIT_FACTS: dict[str, str | None] = {
    "strength.drop": "followup.mrc_drop",
    "strength.fall": "followup.mrc_drop",
    "strength.legs_weak": None,
    "strength.legs_immobile": None,
    "reported.leg_weakness": None,
    "sensation.bilateral_run": "followup.dermatomes_lost",
    "sensation.level": None,
    "reported.numbness_both": None,
    "bladder.retention": None,
    "bladder.pvr_ml": "followup.pvr_red_ml",
    "bladder.incontinence": None,
    "saddle.loss": None,
    "anal.loss": None,
    "sacral.complete": None,
    "ais.abc": None,
}
"""Facts that count as a neurological deficit, from the value of the evidence record on where one is named."""

CORD_GROUPS = frozenset(
    (
        "strength",
        "sensation",
        "bladder",
        "saddle",
        "anal",
        "sacral",
        "ais",
        "deficit",
        "pain",
        "canal",
        "imaging",
    )
)
CORD_REPORTS = frozenset(("reported.leg_weakness", "reported.numbness", "reported.numbness_both"))

LOCAL_SITES = ("back", "neck", "wound", "rib", "elsewhere")
"""Pain sites that stand for no dermatome."""
NERVE_QUALITIES = ("burning", "electric", "girdle")
SETTLED = ("better", "resolved", "same", "stable")

REPORTED: dict[str, tuple[str, str]] = {
    "leg_weakness": ("reported.leg_weakness", "weakness of the legs reported"),
    "urinary_difficulty": ("bladder.difficult", "passing urine is difficult"),
    "urinary_retention": ("bladder.retention", "urinary retention reported"),
    "incontinence": ("bladder.incontinence", "incontinence reported"),
    "saddle_numbness": ("saddle.loss", "numbness of the saddle reported"),
    "dyspnoea": ("reported.dyspnoea", "short of breath"),
    "chest_pain": ("reported.chest_pain", "chest pain"),
    "syncope": ("reported.syncope", "syncope"),
    "fever": ("reported.fever", "fever reported"),
}


def facts_of(record: Record) -> tuple[Fact, ...]:
    """Every fact of the record, in order of time; none before the first augmentation."""
    if record.index_procedure is None:
        return ()
    found: list[Fact] = []
    makers: tuple[Callable[[Record], Iterator[Fact]], ...] = (
        neuro_facts,
        _symptom_facts,
        _pain_facts,
        _imaging_facts,
        lab_facts,
        _ais_facts,
    )
    for maker in makers:
        found.extend(maker(record))
    found.extend(replace(item, name="deficit", value=1) for item in deficits(found))
    return tuple(sorted(found, key=lambda f: (f.when.key, f.name, f.text, f.events)))


def deficits(facts: list[Fact] | tuple[Fact, ...]) -> list[Fact]:
    """The facts among these that are a neurological deficit, by time."""
    found = [item for item in facts if item.name in DEFICIT_FACTS and _grave_enough(item)]
    return sorted(found, key=lambda f: (f.when.key, f.name, f.text))


def concerns_cord(item: Fact) -> bool:
    """True for what a decompression answers: a deficit, pain of nerve or cord, cement in the canal."""
    return item.name.partition(".")[0] in CORD_GROUPS or item.name in CORD_REPORTS


def _grave_enough(item: Fact) -> bool:
    bound = DEFICIT_FACTS[item.name]
    return bound is None or item.value >= value(bound)


def _symptom_facts(record: Record) -> Iterator[Fact]:
    for event, body in record.of(Symptom):
        if not record.after_procedure(event) or body.trend in ("better", "resolved"):
            continue
        if body.symptom in REPORTED:
            name, text = REPORTED[body.symptom]
            yield fact(name, 1, text, event.when, event.id)
        elif body.symptom == "numbness":
            both = body.side == "both"
            yield fact("reported.numbness", 1, "numbness reported", event.when, event.id)
            if both:
                yield fact(
                    "reported.numbness_both", 1, "numbness of both legs reported", event.when, event.id
                )


def _pains(record: Record) -> Iterator[tuple[Event, Pain, bool]]:
    """Every pain of the record with its event and whether it came during the injection."""
    for event in record.events:
        if isinstance(event.body, Examination):
            for pain in event.body.pains:
                yield event, pain, event.body.during_injection
        elif isinstance(event.body, Symptom) and event.body.pain is not None:
            yield event, event.body.pain, event.body.during_injection


def _of_nerve(pain: Pain) -> bool:
    return pain.quality in NERVE_QUALITIES or pain.radiating == "yes"


def _pain_facts(record: Record) -> Iterator[Fact]:
    top = min((body.level for _, body in record.procedures), key=segment_index)
    seen = list(_pains(record))
    for event, pain, during in seen:
        if not record.after_procedure(event) or pain.score == 0:
            continue
        nerve = _of_nerve(pain)
        segmental = _segmental(pain, top, nerve)
        if during and nerve:
            text = f"{pain_words(pain)} during the injection"
            yield fact("pain.during_injection", 1, text, event.when, event.id)
        if nerve or segmental:
            known = [p for e, p, _ in seen if p.site == pain.site and _known_before(record, e, event)]
            lowest = _score_before(pain, known)
            if nerve and lowest is not None:
                yield from _rise(event, pain, lowest)
            # An aching back before is no reason to be silent about an electric one after.
            before = _score_before(pain, [p for p in known if _of_nerve(p)]) if nerve else lowest
            # Nerve pain at the treated level counts if it rises; without a score before nobody can tell.
            untold = before is None and pain.site in LOCAL_SITES and pain.trend not in SETTLED
            if untold or (segmental and (pain.trend in ("new", "worse") or before is None)):
                yield _at_or_below(event, pain, top, before)


def _rise(event: Event, pain: Pain, before: int) -> Iterator[Fact]:
    if pain.score is not None:
        rise = pain.score - before
        text = f"{pain_words(pain)}, {pain.score} of 10, up by {rise}"
        yield fact("pain.rise", rise, text, event.when, event.id)


def _at_or_below(event: Event, pain: Pain, top: str, before: int | None) -> Fact:
    score = f", {pain.score} of 10, baseline not recorded" if pain.score and before is None else ""
    first, last = _reach(pain, top)
    segments = f"dermatome {first}" if first == last else f"dermatomes {first} to {last}"
    text = f"{pain_words(pain)}{score} ({segments}; treated level {top})"
    return fact("pain.segmental", 1, text, event.when, event.id)


def _score_before(pain: Pain, known: list[Pain]) -> int | None:
    """The least score of this pain on record before; 0 of a pain said to be new, None where unknown."""
    if pain.trend == "new":
        return 0
    return min((p.score for p in known if p.score is not None), default=None)


def _known_before(record: Record, earlier: Event, later: Event) -> bool:
    """True if `earlier` happened certainly before `later` and was on record no later than it."""
    in_time = earlier.when.before(later.when)
    return in_time and record.first_recorded[earlier.id] <= record.first_recorded[later.id]


def _reach(pain: Pain, top: str) -> tuple[str, str]:
    if pain.site in LOCAL_SITES:
        return top, top
    return site_dermatomes(pain.site)


def _segmental(pain: Pain, top: str, nerve: bool) -> bool:
    """True for pain that can come from a nerve or the cord at or below the treated level."""
    if pain.trend in SETTLED:
        return False
    if pain.site in LOCAL_SITES:
        return nerve and pain.quality == "girdle"
    return segment_index(site_dermatomes(pain.site)[1]) >= segment_index(top)


def _imaging_facts(record: Record) -> Iterator[Fact]:
    for event, body in record.imagings:
        if record.after_procedure(event):
            yield from _one_image(event, body)


def _one_image(event: Event, body: Imaging) -> Iterator[Fact]:
    levels = body.levels
    when, where = event.when, ", ".join(levels) or "level not written"
    regions = {_region(level) for level in levels} or {"thoracic"}
    if body.canal_cement == "yes":
        cord = regions & {"thoracic", "l1"}
        name = "canal.cement_cord" if cord else "canal.cement_cauda"
        yield fact(name, 1, f"{body.modality}: cement in the canal, {where}", when, event.id)
    if body.compartment in ("intradural", "both"):
        yield fact("canal.intradural", 1, f"{body.modality}: cement inside the dura, {where}", when, event.id)
    if body.cord_compression == "yes":
        yield fact("canal.compression", 1, f"{body.modality}: cord compressed, {where}", when, event.id)
    if body.cord_compression == "no":
        yield fact("imaging.no_compression", 1, f"{body.modality}: no compression seen", when, event.id)
    percents = [p for p in (body.encroachment_percent, body.encroachment_high_percent) if p is not None]
    if percents:
        for region in sorted(regions):
            text = f"{body.modality}: up to {max(percents):g} % of the canal taken, {where}"
            yield fact(f"canal.percent_{region}", max(percents), text, when, event.id)


def _region(level: str) -> str:
    place = VERTEBRAE.index(level)
    if place <= VERTEBRAE.index("T12"):
        return "thoracic"
    return "l1" if level == "L1" else "lumbar"


def _ais_facts(record: Record) -> Iterator[Fact]:
    for event, body in record.of(Diagnosis):
        if record.after_procedure(event) and body.ais in ("A", "B", "C") and body.certainty != "excluded":
            yield fact("ais.abc", 1, f"AIS {body.ais}", event.when, event.id)


def onset(facts: tuple[Fact, ...]) -> When | None:
    """Time of the first deficit."""
    found = deficits(facts)
    return found[0].when if found else None
