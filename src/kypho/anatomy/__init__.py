"""The vertebra model: what the labels and the CT say about one vertebra."""

from kypho.anatomy.labels import LEVELS, Labels

__all__ = ["LEVELS", "Labels"]
