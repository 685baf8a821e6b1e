"""The vertebra model: what the labels and the CT say about one vertebra."""

from kypho.anatomy.distance import signed_distance
from kypho.anatomy.labels import BONES, LEVELS, Labels
from kypho.anatomy.model import ARCH, BODY, CANAL, LEFT_PEDICLE, RIGHT_PEDICLE, Vertebra, build_vertebra
from kypho.anatomy.parts import Endplate, PosteriorWall
from kypho.anatomy.pedicles import Pedicle, Side
from kypho.anatomy.quality import QualityCheck
from kypho.anatomy.rigid import Rigid, move_volume
from kypho.anatomy.schemes import MR_SCHEMES

__all__ = [
    "ARCH",
    "BODY",
    "BONES",
    "CANAL",
    "LEFT_PEDICLE",
    "LEVELS",
    "MR_SCHEMES",
    "RIGHT_PEDICLE",
    "Endplate",
    "Labels",
    "Pedicle",
    "PosteriorWall",
    "QualityCheck",
    "Rigid",
    "Side",
    "Vertebra",
    "build_vertebra",
    "move_volume",
    "signed_distance",
]
