"""A quick picture of solids: bone translucent, cement and steel opaque, seen obliquely from behind.

Parallel rays through the cells, the first cell of each solid along every ray, shaded by the slope of that
depth. The rays' cells are looked up once; a frame of a film is then three gathers.
"""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

__all__ = ["SolidView"]

FINER = 1.6  # pixels per cell
BONE = to_rgb("#c9bda4")
LIGHT = np.array([-0.35, -0.45, 0.82])
"""Towards the light: to the right, downwards in the picture's rows, towards the viewer."""


class SolidView:
    """Pictures of masks on one grid from one direction.

    Args:
        bone: mask ``[k, j, i]`` of the bone, drawn translucent.
        azimuth_deg: 0 looks from behind, 90 from the patient's left.
        elevation_deg: from above.
    """

    def __init__(
        self,
        bone: NDArray[np.bool_],
        azimuth_deg: float = 50.0,  # numerics: a look
        elevation_deg: float = 35.0,  # numerics: a look
    ) -> None:
        self._cells = _ray_cells(bone.shape, np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg))
        self._bone_depth, self._bone_shade = self._seen(bone)

    def picture(
        self, solids: list[tuple[NDArray[np.bool_], str]], opacity: float = 0.42
    ) -> NDArray[np.float64]:
        """RGB picture (rows, cols, 3) in 0 to 1 of opaque solids inside the bone.

        Args:
            solids: mask and colour of each.
            opacity: of the bone in front of them.
        """
        depth = np.full(self._bone_depth.shape, np.inf)
        image = np.ones((*depth.shape, 3))
        for mask, colour in solids:
            d, shade = self._seen(mask)
            nearer = d < depth
            image[nearer] = shade[nearer, None] * np.array(to_rgb(colour))
            depth[nearer] = d[nearer]
        veil = np.isfinite(self._bone_depth)
        alpha = np.where(veil, np.where(self._bone_depth < depth, opacity, 0.0), 0.0)[..., None]
        # Where nothing lies inside, the bone may be more solid: it gives the shape.
        alpha = np.where(np.isinf(depth)[..., None] & veil[..., None], 0.85, alpha)
        return (1 - alpha) * image + alpha * self._bone_shade[..., None] * np.array(BONE)

    def _seen(self, mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Depth in cells of the first hit along every ray (infinity: none) and its shade."""
        padded = np.append(mask.ravel(), False)
        hits = padded[self._cells]
        first = np.argmax(hits, axis=0)
        hit = hits.any(axis=0)
        depth = np.where(hit, first / FINER, np.inf)
        weight = gaussian_filter(hit.astype(float), 1.2)
        smooth = gaussian_filter(np.where(hit, first / FINER, 0.0), 1.2) / np.maximum(weight, 1e-6)
        dy, dx = np.gradient(smooth * FINER)
        normal = np.stack([dx, dy, np.ones_like(dx)], axis=-1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        return depth, 0.35 + 0.65 * np.clip(normal @ LIGHT, 0, 1)


def _ray_cells(shape: tuple[int, ...], azimuth: float, elevation: float) -> NDArray[np.int32]:
    """Flat cell index along every ray, shape (depth, rows, cols); the cell after the last for outside.

    Index axes run up (k), back (j) and to the left (i).
    """
    back = np.array([0.0, np.cos(azimuth), np.sin(azimuth)])
    up = np.array([1.0, 0.0, 0.0])
    viewer = np.cos(elevation) * back + np.sin(elevation) * up
    head = np.cos(elevation) * up - np.sin(elevation) * back
    right = np.cross(viewer, head)  # (k, j, i) is left-handed, so this points to the viewer's right
    corners = np.array(np.meshgrid(*[(-n / 2, n / 2) for n in shape])).reshape(3, -1).T
    spans = [np.ptp(corners @ axis) for axis in (viewer, head, right)]
    steps = [np.arange(-s / 2, s / 2, 1 / FINER) for s in spans]
    middle = (np.array(shape) - 1) / 2
    near, high, across = np.meshgrid(-steps[0], -steps[1], steps[2], indexing="ij")
    out = np.zeros(near.shape, np.int64)
    inside = np.ones(near.shape, bool)
    for n in range(3):
        index = np.rint(middle[n] + near * viewer[n] + high * head[n] + across * right[n]).astype(np.int64)
        inside &= (index >= 0) & (index < shape[n])
        out = out * shape[n] + index
    return np.where(inside, out, int(np.prod(shape))).astype(np.int32)
