"""A synthetic MR image of a real CT's anatomy, moved by a known rigid motion. Synthetic, no patient's MR.

The cord and the canal are drawn as elliptic tubes along the smoothed centreline of the CT's cord label, so
that their diameters, and how far they are narrowed, are known in closed form.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from kypho.anatomy import MR_SCHEMES, Labels, Rigid, Vertebra, move_volume, signed_distance
from kypho.errors import SettingsError
from kypho.space import Grid, Volume, resample, rotation_about

__all__ = ["MrPhantom", "MrRecipe", "make_mri"]

TRUTH_SCHEMA = "kypho.virtual_mri/1"
SYNTHETIC = "SYNTHETIC: an MR image computed from a CT; no patient was scanned"
SCHEME = "totalspineseg"
SUBSLICES = 5
HALF_AP_MM, BACK_MM = 48.0, 12.0
CORD_SHARE = (0.62, 0.52)
"""Half axes of the cord across and along the sagittal plane, in those of the canal."""

CLEFT_SHAPE = np.array([2.0, 1.5, 0.6])
SCALE = 1000.0
"""Stored number of undisturbed cerebrospinal fluid."""

SIGNAL: dict[str, dict[str, float]] = {
    "t2": {"fluid": 1.0, "cord": 0.38, "marrow": 0.42, "fat": 0.75, "soft": 0.22, "cortex": 0.05},
    "stir": {"fluid": 1.0, "cord": 0.36, "marrow": 0.13, "fat": 0.06, "soft": 0.2, "cortex": 0.04},
    "t1": {"fluid": 0.15, "cord": 0.5, "marrow": 0.6, "fat": 0.95, "soft": 0.4, "cortex": 0.05},
}
"""Signal of each tissue in shares of fluid on T2: made up, of the order seen on such images."""


@dataclass(frozen=True, kw_only=True)
class MrRecipe:
    """What the MR shows.

    Attributes:
        sequence: "t2", "stir" (fat suppressed) or "t1" (fluid dark).
        oedema: signal added to the body, in shares of fluid.
        cleft: what fills a cleft in the body.
        compression, narrowing: share by which the sagittal diameter of the cord, of the canal, is reduced
            at its narrowest, at mid body.
        half_height_mm: how far above and below the narrowest place the diameters are normal again.
        cord_signal: signal added to the cord there.
        bias: largest departure of the receive field from its mean.
        noise: standard deviation of either channel, in shares of fluid; magnitudes are Rician.
        axis, angle_deg, shift_mm: the motion from the CT's world to the MR's, about the vertebra.
        scale: size of the anatomy against the CT's; other than 1 it is another patient's.
    """

    sequence: Literal["t2", "stir", "t1"] = "t2"
    oedema: float = 0.0
    cleft: Literal["none", "fluid", "void"] = "none"
    cleft_ml: float = 1.0
    compression: float = 0.0
    narrowing: float = 0.0
    half_height_mm: float = 8.0
    cord_signal: float = 0.0
    bias: float = 0.25
    noise: float = 0.03
    axis: tuple[float, float, float] = (0.3, 1.0, 0.4)
    angle_deg: float = 6.0
    shift_mm: tuple[float, float, float] = (12.0, -9.0, 31.0)
    pixel_mm: float = 0.6
    slice_mm: float = 3.3
    slices: int = 15
    height_mm: float = 120.0
    scale: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.compression < 1 and 0 <= self.narrowing < 1):
            raise SettingsError("compression and narrowing must be shares from 0 to below 1")


@dataclass(frozen=True, kw_only=True, eq=False)
class MrPhantom:
    """A synthetic MR, its labels in TotalSpineSeg's numbers, the motion from CT to MR, and the truth."""

    image: Volume
    labels: Labels
    motion: Rigid
    truth: dict[str, Any]


def make_mri(ct: Volume, labels: Labels, vertebra: Vertebra, recipe: MrRecipe) -> MrPhantom:
    """The MR of a CT.

    Args:
        ct: HU.
        labels: labels on its grid, with the cord.
        vertebra: model of the level on which the MR is centred and which carries the findings.
        recipe: what to draw.
    """
    middle = vertebra.frame.origin_mm
    motion = Rigid.about(middle, rotation_about(recipe.axis, recipe.angle_deg), np.array(recipe.shift_mm))
    grid = _sagittal_grid(motion.point(middle), recipe)
    fine = _subslices(grid)
    on_ct = move_volume(Volume(array=np.zeros(fine.shape, bool), grid=fine, unit="1"), motion.inverse).grid
    if recipe.scale != 1:
        on_ct = _shrunk(on_ct, middle, recipe.scale)
    index = np.indices(fine.shape, np.float32).reshape(3, -1).T
    points = on_ct.to_world(index)
    scene = _tissues(ct, labels, vertebra, recipe, on_ct, points)
    random = np.random.default_rng(recipe.seed)
    thick = scene.signal.reshape(grid.shape[0], SUBSLICES, *grid.shape[1:]).mean(axis=1)
    clean = gaussian_filter(thick, (0, 0.5, 0.5)) * _bias(grid.shape, recipe.bias, random)
    channels = recipe.noise * random.standard_normal((2, *grid.shape))
    image = np.hypot(clean + channels[0], channels[1])
    whole = scene.numbers.reshape(grid.shape[0], SUBSLICES, *grid.shape[1:])
    return MrPhantom(
        image=Volume(array=np.rint(SCALE * image).astype(np.int16), grid=grid, unit="1"),
        labels=Labels(
            volume=Volume(array=whole[:, SUBSLICES // 2], grid=grid, unit="label"),
            scheme=SCHEME,
            ids=MR_SCHEMES[SCHEME],
        ),
        motion=motion,
        truth={
            "schema": TRUTH_SCHEMA,
            "synthetic": SYNTHETIC,
            "level": vertebra.level,
            "recipe": asdict(recipe),
            "mscc_percent": 100 * recipe.compression,
            "mcc_percent": 100 * recipe.narrowing,
            "cleft_ml": scene.cleft_voxels * fine.voxel_mm3 / 1000,
            **scene.diameters_mm,
        },
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tissues:
    signal: NDArray[np.float32]
    numbers: NDArray[np.uint8]
    cleft_voxels: int
    diameters_mm: dict[str, float]


def _sagittal_grid(centre_mm: NDArray, recipe: MrRecipe) -> Grid:
    """Sagittal slices: k to the left, j to the feet, i to the back, in the MR's own world."""
    rows = int(recipe.height_mm / recipe.pixel_mm)
    columns = int(2 * HALF_AP_MM / recipe.pixel_mm)
    first = np.array(
        [
            -(recipe.slices - 1) / 2 * recipe.slice_mm,
            BACK_MM - HALF_AP_MM,
            recipe.height_mm / 2,
        ]
    )
    return Grid(
        shape=(recipe.slices, rows, columns),
        spacing_mm=(recipe.slice_mm, recipe.pixel_mm, recipe.pixel_mm),
        origin_mm=centre_mm + first,
        axes=np.column_stack([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]]),
    )


def _subslices(grid: Grid) -> Grid:
    offset = -(SUBSLICES - 1) / 2 / SUBSLICES
    return replace(
        grid,
        shape=(grid.shape[0] * SUBSLICES, *grid.shape[1:]),
        spacing_mm=(grid.spacing_mm[0] / SUBSLICES, *grid.spacing_mm[1:]),
        origin_mm=grid.to_world([offset, 0, 0]),
    )


def _shrunk(grid: Grid, centre_mm: NDArray, scale: float) -> Grid:
    """The grid drawn together about a centre, so that what it samples looks larger."""
    return replace(
        grid,
        spacing_mm=tuple(s / scale for s in grid.spacing_mm),  # type: ignore[arg-type]  # three of them
        origin_mm=centre_mm + (grid.origin_mm - centre_mm) / scale,
    )


def _tissues(
    ct: Volume, labels: Labels, vertebra: Vertebra, recipe: MrRecipe, grid: Grid, points: NDArray
) -> _Tissues:
    """Signal and label number of every voxel of a grid in the CT's world."""
    signal_of = SIGNAL[recipe.sequence]
    hu = resample(ct, grid).array.ravel()
    signal = np.full(hu.shape, signal_of["soft"], np.float32)
    signal[hu < -20] = signal_of["fat"]
    signal[hu < -300] = 0.01
    numbers = np.zeros(hu.shape, np.uint8)
    best = np.zeros(hu.shape, np.float32)
    for name in labels.levels():
        depth = resample(_level_distance(labels, name), grid, outside=-99.0).array.ravel()
        wins = depth > best
        numbers[wins], best[wins] = MR_SCHEMES[SCHEME][name][0], depth[wins]
    cortex = np.clip((hu - 250) / 300, 0, 1) * (best < 2.5)
    bone = best > 0
    signal[bone] = (signal_of["marrow"] * (1 - cortex) + signal_of["cortex"] * cortex)[bone]
    cleft = _body(vertebra, recipe, points, best, signal, signal_of)
    diameters = _tubes(labels, vertebra, recipe, points, signal, numbers, signal_of)
    return _Tissues(signal=signal, numbers=numbers, cleft_voxels=cleft, diameters_mm=diameters)


def _level_distance(labels: Labels, name: str) -> Volume:
    box = labels.box(name, 10.0)
    part = labels.volume.within(box)
    return signed_distance(labels.part(name, box), part.grid)


def _body(
    vertebra: Vertebra,
    recipe: MrRecipe,
    points: NDArray,
    depth: NDArray,
    signal: NDArray,
    signal_of: dict[str, float],
) -> int:
    """Oedema and cleft, painted into the signal; the number of voxels of the cleft."""
    local = vertebra.frame.to_local(points)
    low, high = vertebra.body_box_mm
    body = np.all((local > low - 1) & (local < high + 1), axis=1) & (depth > 0)
    body &= local[:, 1] < vertebra.wall.y_mm(local[:, 2])
    signal[body] += recipe.oedema * np.clip(depth[body] - 0.5, 0, 1)
    if recipe.cleft == "none":
        return 0
    centre = np.array([0.0, 0.65 * low[1] + 0.35 * high[1], 0.25 * high[2]])
    size = (recipe.cleft_ml * 1000 / (4 / 3 * np.pi * np.prod(CLEFT_SHAPE))) ** (1 / 3)
    inside = body & ((((local - centre) / (size * CLEFT_SHAPE)) ** 2).sum(axis=1) < 1)
    signal[inside] = signal_of["fluid"] if recipe.cleft == "fluid" else 0.0
    return int(inside.sum())


def _tubes(
    labels: Labels,
    vertebra: Vertebra,
    recipe: MrRecipe,
    points: NDArray,
    signal: NDArray,
    numbers: NDArray,
    signal_of: dict[str, float],
) -> dict[str, float]:
    """Cord and canal, painted into signal and numbers; their normal sagittal diameters."""
    cord = labels.volume.grid.to_world(np.argwhere(labels.mask("spinal_cord")))
    centre = np.median(cord[:, 2])
    line = [np.polyfit((cord[:, 2] - centre) / 50, cord[:, n], 4) for n in (0, 1)]
    along = np.column_stack([np.polyval(p, (cord[:, 2] - centre) / 50) for p in line])
    half_width, half_depth = 2 * (cord[:, :2] - along).std(axis=0)
    near = np.linalg.norm(points[:, :2] - _line(line, centre, points[:, 2])[:, :2], axis=1) < 15
    z = points[near, 2]
    for _ in range(2):
        on_line = _line(line, centre, z)
        tangent = np.gradient(_line(line, centre, np.array([-0.5, 0.5])[:, None] + z[None]), axis=0)[0]
        tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True)
        z = z + ((points[near] - on_line) * tangent).sum(axis=1) * tangent[:, 2]
    offset = points[near] - _line(line, centre, z)
    back = np.array([0.0, 1.0, 0.0]) - tangent[:, 1:2] * tangent
    back /= np.linalg.norm(back, axis=1, keepdims=True)
    across = np.cross(back, tangent)
    u, v = (offset * across).sum(axis=1), (offset * back).sum(axis=1)
    middle = vertebra.frame.to_world([0.0, half_depth + vertebra.wall.a, 0.0])[2]
    # Arc length and height differ by the tilt of the cord, which is nearly constant over the few mm here.
    arc = (z - middle) / np.abs(tangent[:, 2])
    bump = np.where(
        np.abs(arc) < recipe.half_height_mm, np.cos(np.pi * arc / 2 / recipe.half_height_mm) ** 2, 0
    )
    shift = half_depth * recipe.narrowing * bump
    canal = (u / half_width) ** 2 + ((v - shift) / (half_depth * (1 - recipe.narrowing * bump))) ** 2 < 1
    wide, deep = CORD_SHARE[0] * half_width, CORD_SHARE[1] * half_depth
    inner = (u / wide) ** 2 + ((v - shift) / (deep * (1 - recipe.compression * bump))) ** 2 < 1
    where = np.nonzero(near)[0]
    room = where[(u / half_width) ** 2 + (v / half_depth) ** 2 < 1]
    signal[room], numbers[room] = signal_of["fat"], 0
    signal[where[canal]], numbers[where[canal]] = signal_of["fluid"], MR_SCHEMES[SCHEME]["spinal_canal"][0]
    signal[where[inner]] = (signal_of["cord"] + recipe.cord_signal * bump)[inner]
    numbers[where[inner]] = MR_SCHEMES[SCHEME]["spinal_cord"][0]
    return {
        "canal_ap_mm": float(2 * half_depth * recipe.scale),
        "cord_ap_mm": float(2 * deep * recipe.scale),
        "canal_width_mm": float(2 * half_width * recipe.scale),
        "cord_width_mm": float(2 * wide * recipe.scale),
    }


def _line(line: list[NDArray], centre: float, z: NDArray) -> NDArray[np.float64]:
    """Points ``(..., 3)`` of the centreline at heights z."""
    t = (z - centre) / 50
    return np.stack([np.polyval(line[0], t), np.polyval(line[1], t), z], axis=-1)


def _bias(shape: tuple[int, int, int], size: float, random: np.random.Generator) -> NDArray[np.float64]:
    """A smooth receive field around 1."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij", sparse=True)
    weights = random.uniform(-1, 1, 6)
    field = sum(w * a for w, a in zip(weights[:3], axes, strict=True))
    field = field + sum(w * (a**2 - 1 / 3) for w, a in zip(weights[3:], axes, strict=True))
    return 1 + size * np.asarray(field) / np.abs(field).max()
