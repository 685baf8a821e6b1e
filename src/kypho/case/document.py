"""What the JSON documents of a case folder share: strict parts, rounded numbers, the words on their use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from kypho.evidence import record

__all__ = ["USE", "Number", "Part", "Point", "point", "rounded", "unconfirmed"]

USE = "research and education; not a medical device"

Number = Annotated[float, AfterValidator(lambda x: round(x, 4))]
"""A number to four decimals: a tenth of a micrometre, a hundredth of a percent."""
Point = tuple[Number, Number, Number]


class Part(BaseModel):
    """A part of a document: nothing in it that its schema does not name."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


def unconfirmed(ids: Iterable[str]) -> list[str]:
    """Those evidence records that no source confirms, in order of their ids."""
    return sorted(key for key in set(ids) if not record(key).confirmed)


def point(xyz: Iterable[float], digits: int = 4) -> Point:
    """Three numbers as they are written."""
    x, y, z = (round(float(v), digits) for v in xyz)
    return x, y, z


def rounded(number: float | None, digits: int = 2) -> float | None:
    """A number as it is written; None stays None."""
    return None if number is None else round(float(number), digits)
