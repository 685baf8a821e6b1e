"""A record out to FHIR R5 and back is the same record; what was altered is refused."""

import copy
import json
from datetime import UTC, datetime

import pytest
from follow_case import NOW, legs
from hypothesis import given, settings
from hypothesis import strategies as st
from test_red_flag_laws import FINDING, built

from kypho.errors import RecordError
from kypho.followup import fold, make_event
from kypho.formats import fhir_out

pytest.importorskip("fhir.resources")
from kypho.case.followup.fhir import bundle_of, events_of_bundle


def again(bundle):
    """The record that entering the Bundle's events gives."""
    case, raws = events_of_bundle(json.loads(json.dumps(bundle)))
    events = []
    for raw in raws:
        record = fold(events) if events else None
        events.append(make_event(case, raw, record=record, now=NOW))
    return fold(events)


def same(one, other):
    return one.case == other.case and one.history == other.history and one.events == other.events


@pytest.fixture
def rich(case):
    """At least one event of every kind."""
    pain = {"site": "hypochondrium", "score": 6, "quality": "girdle", "trend": "new"}
    wrong = case.exam(motor=legs(5, left_L3=1), reflexes={"left": {"patellar": "brisk"}}, pains=[pain])
    case.exam(motor=legs(5, left_L3=4), bladder={"voiding": "difficult", "pvr_ml": 240}, corrects=wrong.id)
    case.add("symptom", "2024-02-03..2024-02-05", symptom="numbness", side="both")
    case.add("lab", "2024-02-06", analyte="creatinine", value=0.1 + 0.2, unit="mg/dL", reference_high=1.1)
    case.add("lab", "2024-02-06", analyte="triglyceride", value=3.94, unit="mmol/L", reference_high=1.7)
    case.add("lab", "2024-02-06", analyte="hs_crp", comparator=">", value=10, unit="mg/dL")
    case.add("lab", "2024-02-06", analyte="urine_protein", text="1+", reference_text="negative")
    case.add(
        "imaging",
        "2024-02-07T08:00",
        modality="CT",
        canal_cement="yes",
        levels=["T7"],
        requested="2024-02-07T07:00",
    )
    case.add("operation", "2024-02-08", operation="laminectomy", decompression=True, levels=["T7", "C5"])
    case.add("treatment", "2024-02-08", treatment="dexamethasone", dose="4 mg")
    case.add("diagnosis", "2024-02-08", diagnosis="cord compression", certainty="suspected")
    case.add("encounter", "2024-02-10", move="discharged")
    case.add("decision", "2024-02-10", role="surgeon", decision="watch", closes=["R5"])
    case.add("perspective", "2024-02-10", role="patient", text="I was afraid.")
    case.add("consent", "2024-02-10", given="yes", scope="publication of the case")
    mistaken = case.add("note", "2024-02-11", text="wrong ward")
    case.add("retraction", "2024-02-11", reason="other patient", corrects=mistaken.id)
    return case


def test_every_kind_comes_back(rich):
    assert same(again(bundle_of(rich.record, NOW)), rich.record)


@settings(max_examples=25, deadline=None)
@given(st.lists(FINDING, max_size=5))
def test_any_record_comes_back(findings):
    record = built(findings).record
    assert same(again(bundle_of(record, NOW)), record)


def test_codes_are_verified_or_private(rich):
    """Every coding of a public system is one of the verified codes; kyphoplasty itself has none."""
    found = set()

    def walk(part):
        if isinstance(part, dict):
            if "code" in part and "system" in part:
                found.add((part["system"], part["code"]))
            for item in part.values():
                walk(item)
        elif isinstance(part, list):
            for item in part:
                walk(item)

    walk(bundle_of(rich.record, NOW))
    snomed = {code for system, code in found if system == fhir_out.SNOMED}
    assert snomed == {"62487009"}
    assert {code for system, code in found if system == fhir_out.LOINC} == {"2160-0"}
    assert (fhir_out.PRIVATE, "PKP") in found
    assert "429616001" not in json.dumps([list(pair) for pair in found])
    systems = {system for system, _ in found}
    terminology = {system for system in systems if system.startswith("http://terminology.hl7.org/")}
    assert systems - terminology == {fhir_out.SNOMED, fhir_out.LOINC, fhir_out.UCUM, fhir_out.PRIVATE}


def test_the_document_begins_with_its_composition_and_names_every_event(rich):
    bundle = bundle_of(rich.record, NOW)
    assert bundle["type"] == "document"
    first = bundle["entry"][0]["resource"]
    assert first["resourceType"] == "Composition"
    assert len(first["section"][0]["entry"]) == len(rich.record.history)
    assert "not a medical device" in first["text"]["div"]
    assert len({entry["fullUrl"] for entry in bundle["entry"]}) == len(bundle["entry"])


def test_floats_are_written_as_people_read_them(rich):
    text = json.dumps(bundle_of(rich.record, NOW))
    assert '"value": 0.3,' in text


def test_what_was_altered_is_refused(rich):
    bundle = bundle_of(rich.record, NOW)
    for entry in bundle["entry"]:
        if entry["resource"].get("valueQuantity"):
            entry["resource"]["valueQuantity"]["value"] = 1.0
            break
    with pytest.raises(RecordError, match="was changed"):
        events_of_bundle(bundle)


def test_what_is_foreign_or_broken_is_refused(rich):
    bundle = bundle_of(rich.record, NOW)
    foreign = copy.deepcopy(bundle)
    del foreign["meta"]
    with pytest.raises(RecordError, match="not written by kypho"):
        events_of_bundle(foreign)
    broken = copy.deepcopy(bundle)
    del broken["entry"][0]["resource"]["type"]
    with pytest.raises(RecordError, match="not valid R5"):
        events_of_bundle(broken)
    dangling = copy.deepcopy(bundle)
    del dangling["entry"][1]
    with pytest.raises(RecordError, match="not in it"):
        events_of_bundle(dangling)


def test_a_synthetic_case_says_so(bare):
    case = type(bare)()
    case.add("enrolment", "2024-01-20", synthetic=True)
    assert "SYNTHETIC" in json.dumps(bundle_of(case.record, datetime(2024, 3, 1, tzinfo=UTC)))
