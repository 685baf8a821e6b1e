"""From a vertebra model to a puncture plan that can be looked at, checked and executed, or a refusal."""

from kypho.planning.approach import Approach
from kypho.planning.devices import DEVICES, Device, device
from kypho.planning.needle import Needle, gertzbein_robbins
from kypho.planning.plan import LevelPlan, plan_level
from kypho.planning.search import Reason
from kypho.planning.settings import Limits, PlanSettings

__all__ = [
    "DEVICES",
    "Approach",
    "Device",
    "LevelPlan",
    "Limits",
    "Needle",
    "PlanSettings",
    "Reason",
    "device",
    "gertzbein_robbins",
    "plan_level",
]
