"""Every cited number as data: records in TOML, the loader, and the ledger.

A record is one number (or one range, one table) with its unit, its source and whether the source was
read. Code refers to records by id; ``value("device.13g.outer_diameter_mm")`` is the usual call.
"""

from kypho.evidence.records import Record, Source, all_records, interval, reading, record, value

__all__ = ["Record", "Source", "all_records", "interval", "reading", "record", "value"]
