"""Records are handed out by id, with their interval and their standing."""

from threading import Thread

import pytest

from kypho.errors import InternalError
from kypho.evidence import all_records, interval, reading, record, value

KNOWN = "device.11G.outer_diameter_mm"


def test_a_record_carries_value_unit_and_standing():
    entry = record(KNOWN)
    assert value(KNOWN) == entry.value == all_records()[KNOWN].value
    assert entry.unit == "mm"
    assert entry.confirmed is (entry.status == "confirmed")


def test_an_unknown_id_is_a_mistake_of_the_code():
    for ask in (record, value, interval):
        with pytest.raises(InternalError, match=r"no evidence record 'no\.such'"):
            ask("no.such")


def test_an_interval_is_given_only_where_there_is_one():
    without = next(r for r in all_records().values() if r.low is None)
    with pytest.raises(InternalError, match="has no interval"):
        interval(without.id)
    bounded = next(r for r in all_records().values() if r.low is not None and r.high is not None)
    assert interval(bounded.id) == (bounded.low, bounded.high)


def test_what_is_read_in_a_block_is_named_whoever_reads_it():
    first, second, third = sorted(all_records())[:3]
    with reading() as outer:
        value(first)
        with reading() as inner:
            thread = Thread(target=value, args=(second,))
            thread.start()
            thread.join()
        record(third)
    value(KNOWN)
    assert outer == {first, second, third}
    assert inner == {second}


def test_records_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        record(KNOWN).value = 1.0


def test_a_record_with_a_misspelt_field_does_not_load():
    with pytest.raises(ValueError, match="Extra inputs"):
        type(record(KNOWN))(**record(KNOWN).model_dump() | {"valeu": 2.0})
