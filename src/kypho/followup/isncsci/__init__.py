"""ISNCSCI, revision of 2019: from the values of the worksheet to the classification, missing values included.

>>> from kypho.followup.isncsci import classify  # doctest: +SKIP
>>> classify(examination).asia_impairment_scale  # doctest: +SKIP
'C,D'

Research and education; not a medical device. Conventions and their sources: docs/isncsci.md.
"""

from kypho.followup.isncsci.classification import Classification, SideClassification, classify
from kypho.followup.isncsci.examination import Examination, ExaminationSide

__all__ = ["Classification", "Examination", "ExaminationSide", "SideClassification", "classify"]
