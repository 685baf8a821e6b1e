"""What would tell who a patient is: refused wherever text is typed, as far as it can be recognised.

Caught are e-mail addresses, long numbers, words such as surname, identifiers with their label, birth dates
with a word for birth, and pseudonyms made of a name and a birth year. Names alone are not recognised.
"""

from __future__ import annotations

import re

from kypho.errors import RecordError

__all__ = ["check_pseudonym", "identifies"]

PSEUDONYM = re.compile(r"^[A-Za-z][A-Za-z0-9._-]{0,39}$")
LONG_NUMBER = re.compile(r"\d[\d\s-]{7,}\d")
DATE_LIKE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
LABELS = re.compile(
    r"\S+@\S+\.\S+"
    r"|\b(?:mrn|dob|ssn|passport|phone|surname|full[\s_]name|date[\s_]of[\s_]birth|birth[\s_-]?(?:date|day)"
    r"|geburtsdatum|geburtstag|patient[\s_-]?id|patienten[\s_-]?id)(?![^\W\d_])",
    re.I,
)
"""An address, or the label of what follows; digits may follow at once, letters make it another word."""
NUMBERED = re.compile(
    r"\b(?:patient(?:en)?|pat|fall|hospital|insurance|nhs|accession)[\s_.-]*"
    r"(?:id|no|nr|number|nummer)[\s.:=#_-]*\d",
    re.I,
)
"""A label that is one only before a number: "patient no longer walks" is none."""
DATE = (
    r"(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\s?\d{1,2}[-./]\s?\d{2,4}"
    r"|\d{1,2}(?:\.|st|nd|rd|th)?\s+(?:of\s+)?[^\W\d_]{3,9}\.?,?\s+\d{4}"
    r"|[^\W\d_]{3,9}\.?\s+\d{1,2}(?:st|nd|rd|th)?,?\s+\d{4})"
)
BORN = re.compile(
    rf"\b(?:born|birth|geb|geboren\w*|geburt\w*|n\u00e9e?|nacid[oa]|nat[oa])\b[^\d\n]{{0,12}}?{DATE}", re.I
)
"""A word for birth with a whole date close behind it; a year alone may be known."""
NAME_AND_YEAR = re.compile(r"(?<![A-Za-z])([A-Za-z]{2,})[._-]*(?:19\d\d|200\d)(?!\d)")
"""Letters, two at least (Li, Wu), with a year in which an adult patient can be born."""
COMMON_WORDS = (
    *("case", "cases", "patient", "pat", "subject", "sub", "site", "ward", "study", "cohort"),
    *("demo", "test", "example", "synthetic", "kypho", "pkp", "pvp"),
    *("pt", "no", "nr", "id", "op", "ct", "mr"),
)
"""Words of a pseudonym that are no name; then the four digits are a number, not a year."""


def identifies(text: str) -> bool:
    """True if the text seems to tell who somebody is."""
    if LABELS.search(text) or NUMBERED.search(text) or BORN.search(text):
        return True
    return not text.startswith("doi") and LONG_NUMBER.search(DATE_LIKE.sub("", text)) is not None


def check_pseudonym(case: str) -> str:
    """Return the pseudonym.

    Raises:
        RecordError: it is empty, holds spaces, or looks like a name and a birth year or an identifier.
    """
    if not PSEUDONYM.match(case) or re.search(r"\d{6,}", case):
        raise RecordError(
            f"case {case!r} is no pseudonym; use a letter, then letters, digits, - _ . and no long number"
        )
    named = [found[1].lower() for found in NAME_AND_YEAR.finditer(case)]
    if LABELS.search(case) or any(word not in COMMON_WORDS for word in named):
        raise RecordError(f"case {case!r} seems to tell who it is; take a pseudonym such as kypho-17")
    return case
