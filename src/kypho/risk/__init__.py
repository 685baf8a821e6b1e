"""Leak risk before the operation: a cited log-odds sheet with intervals, not a validated predictor."""

from kypho.risk.inputs import RiskInputs, RiskSettings
from kypho.risk.leak import Estimate, any_leak, in_words
from kypho.risk.model import NOT_CLAIMED, LeakRisk, assess_risk
from kypho.risk.routes import RISK_ROUTES, RouteRisk, route_risk

__all__ = [
    "NOT_CLAIMED",
    "RISK_ROUTES",
    "Estimate",
    "LeakRisk",
    "RiskInputs",
    "RiskSettings",
    "RouteRisk",
    "any_leak",
    "assess_risk",
    "in_words",
    "route_risk",
]
