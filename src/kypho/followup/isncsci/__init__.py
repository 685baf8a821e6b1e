"""ISNCSCI, revision of 2019: from the values of the worksheet to the classification, missing values included.

`classify` takes an examination and gives every result as text. `from_partial` and `verdict` serve the
bedside examination, of which most is not tested. Conventions and their sources: docs/isncsci.md.

Research and education; not a medical device.
"""

from kypho.followup.isncsci.bedside import from_partial, sentence, verdict
from kypho.followup.isncsci.classification import Classification, SideClassification, classify
from kypho.followup.isncsci.examination import Examination, ExaminationSide

__all__ = [
    "Classification",
    "Examination",
    "ExaminationSide",
    "SideClassification",
    "classify",
    "from_partial",
    "sentence",
    "verdict",
]
