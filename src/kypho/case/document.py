"""What the JSON documents of a case folder share: strict parts, rounded numbers, the words on their use."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

__all__ = ["USE", "Number", "Part", "Point"]

USE = "research and education; not a medical device"

Number = Annotated[float, AfterValidator(lambda x: round(x, 4))]
"""A number to four decimals: a tenth of a micrometre, a hundredth of a percent."""
Point = tuple[Number, Number, Number]


class Part(BaseModel):
    """A part of a document: nothing in it that its schema does not name."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
