"""The post-operative CT: where the cement is, by which route it left, and what it does to the canal."""

from kypho.leakage.actions import Action
from kypho.leakage.canal import CanalFinding, CanalSlice, DuraReading
from kypho.leakage.check import METAL, Leakage, LeakPart, check_leakage
from kypho.leakage.inside import InsideFinding
from kypho.leakage.mri import MriReading, read_mri
from kypho.leakage.parts import Interval
from kypho.leakage.routes import ROUTES

__all__ = [
    "METAL",
    "ROUTES",
    "Action",
    "CanalFinding",
    "CanalSlice",
    "DuraReading",
    "InsideFinding",
    "Interval",
    "LeakPart",
    "Leakage",
    "MriReading",
    "check_leakage",
    "read_mri",
]
