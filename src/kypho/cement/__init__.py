"""Cement: where it flows, when it leaks, how warm it gets.

One term of the physics per module: `rheology`, `cannula`, `bone`, `compartments`, `balloon`, `pressure`
(solved by `multigrid`), `transport`, `cure`, `heat`, `dose`. `inject` composes them into one rehearsed
injection and `ensemble` into many; `vertebra` builds the bone from the anatomy.
"""

import os

# Waiting threads sleep instead of spinning, so that a busy machine is slowed and not stalled.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from kypho.cement.balloon import Inflation, inflate
from kypho.cement.bone import BoneField, homogeneous_field
from kypho.cement.cannula import Cannula, cannula
from kypho.cement.inject import inject
from kypho.cement.outcome import Frame, Rehearsal
from kypho.cement.rheology import Cement, cement, cement_names
from kypho.cement.schedule import Needle, Pause, Schedule, Settings, Stage

__all__ = [
    "BoneField",
    "Cannula",
    "Cement",
    "Frame",
    "Inflation",
    "Needle",
    "Pause",
    "Rehearsal",
    "Schedule",
    "Settings",
    "Stage",
    "cannula",
    "cement",
    "cement_names",
    "homogeneous_field",
    "inflate",
    "inject",
]
