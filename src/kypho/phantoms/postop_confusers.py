"""What can be taken for cement on a post-operative CT: metal, contrast and calcification."""

from __future__ import annotations

import numpy as np

from kypho.phantoms.postop_lattice import Shape, Site

__all__ = ["CONFUSERS", "MATERIAL_OF", "make_confuser"]

MATERIAL_OF = {"screw": "titanium", "contrast": "contrast", "calcification": "calcification"}
"""What each confuser is made of, by the names of the synthetic scanner."""

CONFUSERS: tuple[str, ...] = tuple(MATERIAL_OF)


def make_confuser(site: Site, name: str, cement_side: str, rng: np.random.Generator) -> tuple[str, Shape]:
    """The confuser's name and its shape.

    - screw: a titanium pedicle screw with its head, opposite to the cement.
    - contrast: an epidural vein filled with iodine (`make_postop` brightens the aorta as well).
    - calcification: a plate of ossified ligament behind the body.
    """
    sign = -1.0 if cement_side == "left" else 1.0
    makers = {"screw": _screw, "contrast": _vein, "calcification": _plate}
    return name, makers[name](site, sign, rng)


def _screw(site: Site, sign: float, rng: np.random.Generator) -> Shape:
    pedicle = site.anatomy.pedicles["left" if sign > 0 else "right"]
    isthmus = site.anatomy.frame.to_local(pedicle.isthmus_mm)
    axis = site.anatomy.frame.direction_to_local(pedicle.axis)
    radius = rng.uniform(2.0, 2.75)
    front, back = 20.0, 24.0
    patch = site.patch(isthmus + axis * (front - back) / 2, np.abs(axis) * (front + back) / 2 + 7)
    along = (patch.points - isthmus.astype(np.float32)) @ axis.astype(np.float32)
    across = np.linalg.norm(
        patch.points - isthmus.astype(np.float32) - along[..., None] * axis.astype(np.float32), axis=-1
    )
    shaft = (along < front) & (along > -back) & (across < radius)
    head = (along < 10 - back) & (along > -back) & (across < radius + 2.5)
    return Shape(route="screw", start=patch.start, mask=shaft | head, exit_mm=None)


def _vein(site: Site, sign: float, rng: np.random.Generator) -> Shape:
    wall = float(site.anatomy.wall.y_mm(0.0))
    x = sign * rng.uniform(3, 5)
    patch = site.patch(np.array([x, wall + 2.5, 0.0]), np.array([3, 4, 12]))
    behind = patch.points[..., 1] - site.anatomy.wall.y_mm(patch.points[..., 2])
    distance = np.hypot(patch.points[..., 0] - x, behind - 1.8)
    return Shape(route="contrast", start=patch.start, mask=(distance < 0.9) & patch.free, exit_mm=None)


def _plate(site: Site, sign: float, rng: np.random.Generator) -> Shape:
    low, high = site.anatomy.body_box_mm
    z = rng.choice([-1, 1]) * 0.35 * (high[2] - low[2])
    wall = float(site.anatomy.wall.y_mm(z))
    patch = site.patch(np.array([0.0, wall + 1.5, z]), np.array([5, 4, 6]))
    behind = patch.points[..., 1] - site.anatomy.wall.y_mm(patch.points[..., 2])
    flat = (patch.points[..., 0] / 3.5) ** 2 + ((patch.points[..., 2] - z) / 4.5) ** 2
    mask = (flat < 1) & (behind > 0.2) & (behind < 1.6) & patch.free
    return Shape(route="calcification", start=patch.start, mask=mask, exit_mm=None)
