"""Inside the body: gas, fluid, lytic areas, foreign material, and the cancellous bone itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter

from kypho.anatomy import Vertebra
from kypho.evidence import interval, value
from kypho.fracture.fluid import fluid_patch

__all__ = [
    "PATCH_NOISE",
    "BoneBefore",
    "Cancellous",
    "Cavity",
    "cancellous",
    "cavities",
    "foreign_ml",
    "surrounding_hu",
]

DEEP_MM = 2.5  # numerics: beyond this no cortex and no blur of it is left
FEWEST_VOXELS = 50
INNER_MM = 2.0  # numerics: cortex and its partial volume are left out of the inside
SMOOTH_VOXELS = 1.0  # numerics: noise of single voxels is no cavity
CORE_QUANTILE = 0.25  # of a core's densities: deep enough to be filled, not the noise's lowest
CLEAR_VOXELS = 3  # numerics: about a cavity, in which its blurred rim lowers the density of the bone
RIM_VOXELS = 1  # the rim of a cavity cut at half density is blurred over about a voxel more
LEAST_SHARE = 0.1  # outside the cut, a smaller share is the spread of cancellous bone itself
PATCH_NOISE = 0.25  # a patch averages over some twenty times what smoothing does; noise falls with its root
REGION = (
    0.5,
    0.12,
    0.58,
    0.25,
)  # shares: half width, depth from, depth to, half height


@dataclass(frozen=True, kw_only=True, eq=False)
class Cavity:
    """A place in the body without bone.

    Attributes:
        content: "gas", "fluid" or "soft" (denser than fluid: tumour or marrow).
        volume_ml: with the blurred rim cut at half density.
        centre_mm: local (left, posterior, superior).
        mean_hu: of its core.
        flatness: height over the larger of width and depth.
        to_surface_mm: least depth below the vertebra's surface.
        to_wall_mm: least distance in front of the posterior wall.
        mask: the cavity on the vertebra's local grid.
        contrast_hu: to the shell around it, for fluid found by its shape in thin bone; None otherwise.
        since_earlier: whether the contrast is that of the change since an earlier CT.
    """

    content: Literal["gas", "fluid", "soft"]
    volume_ml: float
    centre_mm: tuple[float, float, float]
    mean_hu: float
    flatness: float
    to_surface_mm: float
    to_wall_mm: float
    mask: NDArray[np.bool_] = field(repr=False)
    contrast_hu: float | None = None
    since_earlier: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class BoneBefore:
    """The bone on an earlier CT.

    Attributes:
        hu: density of the same places, on the local grid; NaN off the body.
        noise_hu: standard deviation of the noise in the change since then, smoothed by a voxel.
    """

    hu: NDArray[np.float64]
    noise_hu: float


@dataclass(frozen=True, kw_only=True)
class Cancellous:
    """Density of the cancellous bone in an ellipse at mid height, in front of the basivertebral vein."""

    mean_hu: float
    sd_hu: float
    volume_ml: float
    region: str


def _inside(vertebra: Vertebra, depth_mm: float) -> NDArray[np.bool_]:
    return vertebra.body & (vertebra.bone_mm.array > depth_mm)


def foreign_ml(vertebra: Vertebra) -> float:
    """Volume of material denser than cancellous bone can be, inside the body: cement or metal."""
    dense = (vertebra.hu.array > value("fracture.foreign_hu")) & _inside(vertebra, 2 * INNER_MM)
    return float(dense.sum() * vertebra.grid.voxel_mm3 / 1000)


def surrounding_hu(vertebra: Vertebra) -> float | None:
    """Median density of all cancellous bone of the body, which a cavity in part of it hardly moves."""
    deep = vertebra.hu.array[_inside(vertebra, DEEP_MM)]
    bone = deep[(deep > value("fracture.cleft.gas_hu")) & (deep < value("fracture.foreign_hu"))]
    return float(np.median(bone)) if len(bone) >= FEWEST_VOXELS else None


def cancellous(vertebra: Vertebra, holes: tuple[Cavity, ...] = ()) -> Cancellous | None:
    """Mean and spread of the cancellous density outside cavities; None if the region holds no bone."""
    z, y, x = vertebra.axes_mm
    low, high = vertebra.body_box_mm
    share = (y - low[1]) / (high[1] - low[1])
    width, front, back, tall = REGION
    height = vertebra.superior.height_mm - vertebra.inferior.height_mm
    middle = (vertebra.superior.height_mm + vertebra.inferior.height_mm) / 2
    across = x / (width * (high[0] - low[0]) / 2)
    along = (share - (front + back) / 2) / ((back - front) / 2)
    up = (z - middle) / (tall * height)
    ellipse = along[:, None] ** 2 + across[None, :] ** 2 <= 1
    region = (np.abs(up) <= 1)[:, None, None] & ellipse[None] & _inside(vertebra, INNER_MM)
    for hole in holes:
        region &= ~binary_dilation(hole.mask, iterations=CLEAR_VOXELS)
    if region.sum() < FEWEST_VOXELS:
        return None
    values = vertebra.hu.array[region]
    # A cavity is not bone: gas and contrast-filled vessels would move the mean.
    values = values[(values > value("fracture.cleft.gas_hu")) & (values < value("fracture.foreign_hu"))]
    if len(values) < FEWEST_VOXELS:
        return None
    return Cancellous(
        mean_hu=float(values.mean()),
        sd_hu=float(values.std()),
        volume_ml=float(region.sum() * vertebra.grid.voxel_mm3 / 1000),
        region=f"ellipse, {width:.0%} of the width, {front:.0%}-{back:.0%} of the depth, middle half",
    )


def cavities(vertebra: Vertebra, bone_hu: float, before: BoneBefore | None = None) -> tuple[Cavity, ...]:
    """Gas, fluid and soft-tissue cavities, largest first.

    Args:
        vertebra: the model.
        bone_hu: density of the cancellous bone around, which sets the rim of a cavity.
        before: the bone on an earlier CT, in which fluid in thin bone is then told by what has changed.
    """
    smooth = gaussian_filter(vertebra.hu.array, SMOOTH_VOXELS)
    inside = _inside(vertebra, 0.5)
    gas = _pieces(vertebra, smooth, inside, value("fracture.cleft.gas_hu"), bone_hu)
    taken = np.zeros_like(inside)
    out = []
    for piece, core in gas:
        taken |= piece
        out.append(_cavity(vertebra, piece, core, smooth, bone_hu, "gas"))
    limit = min(value("fracture.lytic.core_hu"), bone_hu - value("fracture.cleft.contrast_hu"))
    fluid_high = interval("fracture.cleft.fluid_hu")[1]
    near_gas = gaussian_filter(taken.astype(np.float32), 3) > 0.02
    if limit >= value("fracture.cleft.floor_hu"):
        deep = _inside(vertebra, INNER_MM) & ~near_gas
        for piece, core in _pieces(vertebra, smooth, deep, limit, bone_hu):
            mean = float(smooth[core].mean())
            if mean <= fluid_high:
                out.append(_cavity(vertebra, piece, core, smooth, bone_hu, "fluid"))
            elif bone_hu - mean >= value("fracture.lytic.contrast_hu"):
                out.append(_cavity(vertebra, piece, core, smooth, bone_hu, "soft"))
    out = _with_patch(vertebra, out, near_gas, bone_hu, before)
    return tuple(sorted(out, key=lambda c: -c.volume_ml))


def _with_patch(
    vertebra: Vertebra, found: list[Cavity], near_gas: NDArray, bone_hu: float, before: BoneBefore | None
) -> list[Cavity]:
    """The cavities with, in thin bone, the fluid that stands out by its shape in place of what it lies in."""
    thinnest = value("fracture.cleft.marrow_hu") if before is None else -np.inf
    if not thinnest <= bone_hu < value("fracture.cleft.bone_hu"):
        return found
    patch = fluid_patch(vertebra, near_gas, None if before is None else before.hu)
    if patch is None:
        return found
    if before is None:
        limit = value("fracture.cleft.patch_hu")
    else:
        noise = value("fracture.cleft.noise_multiple") * PATCH_NOISE * before.noise_hu
        limit = max(value("fracture.cleft.change_hu") / patch.size, noise)
    if patch.contrast_hu < limit:
        return found
    smooth = np.full_like(vertebra.hu.array, patch.mean_hu)
    cavity = replace(
        _cavity(vertebra, patch.mask, patch.mask, smooth, bone_hu, "fluid"),
        volume_ml=patch.volume_ml,
        contrast_hu=patch.contrast_hu,
        since_earlier=before is not None,
    )
    rest = [c for c in found if c.content == "gas" or not (c.mask & patch.mask).any()]
    return [cavity, *rest]


def _pieces(
    vertebra: Vertebra, smooth: NDArray, where: NDArray, core_hu: float, bone_hu: float
) -> list[tuple[NDArray, NDArray]]:
    """Connected cores below `core_hu`, each grown to half way between its own density and bone."""
    core = where & (smooth < core_hu)
    pieces = cc3d.connected_components(core.astype(np.uint8), connectivity=6)
    smallest = value("fracture.cleft.core_ml") * 1000 / vertebra.grid.voxel_mm3
    sizes = np.bincount(pieces.ravel())
    out: list[tuple[NDArray, NDArray]] = []
    for number in np.nonzero(sizes >= smallest)[0]:
        if number == 0:
            continue
        seed = pieces == number
        half = (float(np.quantile(smooth[seed], 0.1)) + bone_hu) / 2
        grown = cc3d.connected_components((where & (smooth < half)).astype(np.uint8), connectivity=6)
        piece = grown == np.bincount(grown[seed]).argmax()
        if not any((piece & other).any() for other, _ in out):
            out.append((piece, seed))
    return out


def _cavity(
    vertebra: Vertebra,
    piece: NDArray,
    core: NDArray,
    smooth: NDArray,
    bone_hu: float,
    content: Literal["gas", "fluid", "soft"],
) -> Cavity:
    z, y, x = (axis[index] for axis, index in zip(vertebra.axes_mm, np.nonzero(piece), strict=True))
    spans = [float(np.quantile(v, 0.95) - np.quantile(v, 0.05)) for v in (x, y, z)]
    return Cavity(
        content=content,
        volume_ml=_volume_ml(vertebra, piece, core, bone_hu),
        centre_mm=(float(x.mean()), float(y.mean()), float(z.mean())),
        mean_hu=float(smooth[core].mean()),
        flatness=spans[2] / max(spans[0], spans[1], 1e-6),
        to_surface_mm=float(vertebra.bone_mm.array[piece].min()),
        to_wall_mm=float((vertebra.wall.y_mm(z) - y).min()),
        mask=piece,
    )


def _volume_ml(vertebra: Vertebra, piece: NDArray, core: NDArray, bone_hu: float) -> float:
    """Volume with the share of every voxel at the rim that the cavity fills.

    A voxel half way between the density of the core and that of the bone is half filled, so what blur
    takes from the inside of a thin cavity is found again around it.
    """
    hu = vertebra.hu.array
    full = float(np.quantile(hu[core], CORE_QUANTILE))
    near = binary_dilation(piece, iterations=RIM_VOXELS) & _inside(vertebra, 0.0)
    share = np.clip((bone_hu - hu[near]) / max(bone_hu - full, 1.0), 0.0, 1.0)
    share = np.where(piece[near], share, np.where(share > LEAST_SHARE, share, 0.0))
    return float(share.sum() * vertebra.grid.voxel_mm3 / 1000)
