"""The vertebra model: what the labels and the CT say about one vertebra."""

from kypho.anatomy.labels import LEVELS, Labels
from kypho.anatomy.model import ARCH, BODY, CANAL, LEFT_PEDICLE, RIGHT_PEDICLE, Vertebra, build_vertebra
from kypho.anatomy.parts import Endplate, PosteriorWall
from kypho.anatomy.pedicles import Pedicle, Side
from kypho.anatomy.quality import QualityCheck

__all__ = [
    "ARCH",
    "BODY",
    "CANAL",
    "LEFT_PEDICLE",
    "LEVELS",
    "RIGHT_PEDICLE",
    "Endplate",
    "Labels",
    "Pedicle",
    "PosteriorWall",
    "QualityCheck",
    "Side",
    "Vertebra",
    "build_vertebra",
]
