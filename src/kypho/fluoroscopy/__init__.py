"""Simulated fluoroscopy: C-arm poses, exact cone-beam frames, instruments added without a new trace.

A frame in five lines::

    projector = Projector(ct)                                  # Volume in HU; sums are built on first use
    carm = true_ap(vertebra_frame)                             # or true_lateral, en_face, CArm.from_angles
    patient = projector.trace(carm)                            # line integrals, (rows, cols)
    frame = patient + needle_shadow(carm, skin, tip, radius_mm)
    draw_view(ax, to_film(frame, Look.of(patient)), carm, overlays, title="True AP")
"""

from kypho.fluoroscopy.attenuation import Attenuation, hu_to_mu, steel_per_mm
from kypho.fluoroscopy.carm import (
    CArm,
    angles_of,
    angles_text,
    direction_of,
    en_face,
    true_ap,
    true_lateral,
)
from kypho.fluoroscopy.film import Look, add_noise, to_film
from kypho.fluoroscopy.projector import Projector
from kypho.fluoroscopy.shadows import field_shadow, needle_shadow
from kypho.fluoroscopy.views import KINDS, PARTS, Overlay, draw_view, edge_letters

__all__ = [
    "KINDS",
    "PARTS",
    "Attenuation",
    "CArm",
    "Look",
    "Overlay",
    "Projector",
    "add_noise",
    "angles_of",
    "angles_text",
    "direction_of",
    "draw_view",
    "edge_letters",
    "en_face",
    "field_shadow",
    "hu_to_mu",
    "needle_shadow",
    "steel_per_mm",
    "to_film",
    "true_ap",
    "true_lateral",
]
