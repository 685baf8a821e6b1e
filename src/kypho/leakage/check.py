"""The check: from a post-operative CT and a vertebra model to the findings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import cc3d
import numpy as np
from numpy.typing import NDArray

from kypho.anatomy import Labels, Vertebra
from kypho.errors import InputError
from kypho.evidence import value
from kypho.leakage.actions import Action, actions_for
from kypho.leakage.blur import Blur, measure_blur
from kypho.leakage.canal import CanalFinding, read_canal
from kypho.leakage.elsewhere import DensePlace, canal_levels, dense_elsewhere
from kypho.leakage.faint import dense_body_ml
from kypho.leakage.inside import InsideFinding, read_inside
from kypho.leakage.parts import Interval, MeasuredPart, measure, split
from kypho.leakage.routes import Routing, route_of
from kypho.leakage.scene import Scene, axial, build_scene
from kypho.leakage.segment import Limits, segment
from kypho.space import Volume

__all__ = ["METAL", "LeakPart", "Leakage", "check_leakage"]

METAL = 100
"""Number of metal in the cement map; parts of the cement have smaller ones."""

WINDOWED = 1e-4  # numerics: share of the voxels; without a window the densest value stands in a few

Timer = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True, eq=False)
class LeakPart:
    """A part outside the vertebra: its measures, its route and its number in the cement map."""

    id: int
    map_number: int
    measured: MeasuredPart
    routing: Routing


@dataclass(frozen=True, kw_only=True, eq=False)
class Leakage:
    """What the check found at one level.

    Attributes:
        level: "T7".
        cement_ml: all cement near the level.
        inside: the cement inside the vertebra.
        parts: the parts outside it, largest first.
        canal: the canal.
        actions: what to do, most urgent first.
        metal_ml: metal near the level; None without.
        dense_body_ml: a compact dense place in a body without certain cement: faint cement or sclerosis.
        doubtful: LPS centres of dense specks in the canal that may be calcification.
        elsewhere: what else is as dense as cement.
        limits: HU limits used.
        blur: resolution used.
        cement_map: label map on the whole CT: 1 inside, 2.. parts, METAL; its slices are axial, so its
            axes may stand in another order than the CT's.
        scene: the crop that was read.
    """

    level: str
    cement_ml: Interval
    inside: InsideFinding
    parts: tuple[LeakPart, ...]
    canal: CanalFinding
    actions: tuple[Action, ...]
    metal_ml: float | None
    dense_body_ml: float
    doubtful: tuple[tuple[float, float, float], ...]
    elsewhere: tuple[DensePlace, ...]
    limits: Limits
    blur: Blur
    cement_map: Volume
    scene: Scene

    @property
    def numbers(self) -> NDArray[np.uint8]:
        """The cement map on the scene's voxels."""
        return np.asarray(self.cement_map.array[self.scene.place])

    @property
    def canal_doubts(self) -> tuple[str, ...]:
        """What keeps a canal without a stated leak from being called free of cement, in words."""
        specks, away_ml = len(self.doubtful) + self.canal.crumbs, sum(p.canal_ml for p in self.elsewhere)
        doubts = []
        if specks:
            doubts.append(
                f"{specks} dense speck{'s' if specks > 1 else ''} in it, calcification or little cement"
            )
        if away_ml > 0:
            doubts.append(
                f"{away_ml:.2f} mL as dense as cement in the canal at {canal_levels(self.elsewhere)}"
            )
        return (*doubts, *self.canal.strange)

    @property
    def cement(self) -> NDArray[np.bool_]:
        """Voxels of the scene with cement in them, blurred rim and all."""
        return np.asarray((self.numbers > 0) & (self.numbers < METAL))


def check_leakage(ct: Volume, labels: Labels, vertebra: Vertebra, *, timer: Timer | None = None) -> Leakage:
    """Read a post-operative CT for cement at one level.

    Args:
        ct: the post-operative CT, HU.
        labels: labels on its grid.
        vertebra: the level's model in the same world, from labels made before or after the operation.
        timer: context manager per named step, for progress and times.

    Raises:
        InputError: not an image in HU, or one whose scale ends below any cement.
        GridMismatchError: CT and labels lie on different grids.
    """
    step = timer or (lambda _: nullcontext())
    if ct.unit != "HU":
        raise InputError(f"the CT has unit {ct.unit!r}; give an image in HU")
    _require_no_window(ct)
    labels.volume.grid.require_match(ct.grid, "the label image")
    if axial(ct) is not ct:
        ct, labels = axial(ct), replace(labels, volume=axial(labels.volume))
    with step("anatomy on the CT"):
        scene = build_scene(ct, labels, vertebra)
    with step("cement and metal"):
        found = segment(scene)
        blur = measure_blur(ct)
    with step("boundaries"):
        measured = measure(scene, found, blur)
    with step("routes and canal"):
        parts = tuple(
            LeakPart(id=n, map_number=min(n + 1, METAL - 1), measured=part, routing=route_of(scene, part))
            for n, part in enumerate(measured.parts, start=1)
        )
        canal = read_canal(scene, found, measured)
        doubtful = _places(scene, found.doubtful & scene.canal)
        inside = read_inside(scene, measured)
    volumes = [measured.inside_ml, *(p.measured.ml for p in parts)]
    elsewhere = dense_elsewhere(ct, labels, scene, found.elsewhere)
    faint_ml = dense_body_ml(scene, found.cement, found.metal, found.limits)
    metal = float(np.count_nonzero(found.metal) * scene.voxel_ml)
    return Leakage(
        level=vertebra.level,
        cement_ml=Interval(
            value=sum(v.value for v in volumes),
            low=sum(v.low for v in volumes),
            high=sum(v.high for v in volumes),
        ),
        inside=inside,
        parts=parts,
        canal=canal,
        actions=actions_for(
            *(vertebra.level, canal, [p.routing for p in parts], len(doubtful) + canal.crumbs),
            dense_body_ml=faint_ml,
            canal_elsewhere_ml=sum(place.canal_ml for place in elsewhere),
            canal_elsewhere_at=canal_levels(elsewhere),
            strange=canal.strange,
        ),
        metal_ml=metal if metal > 0 else None,
        dense_body_ml=faint_ml,
        doubtful=doubtful,
        elsewhere=elsewhere,
        limits=found.limits,
        blur=blur,
        cement_map=_map(ct, scene, split(scene, found.cement), found.metal),
        scene=scene,
    )


def _require_no_window(ct: Volume) -> None:
    """Raise InputError if the scale ends below any cement: the image was exported with a window."""
    top = float(ct.array.max())
    if top >= value("leak.grow_bone_hu") or np.count_nonzero(ct.array == top) < WINDOWED * ct.array.size:
        return
    raise InputError(
        f"the CT ends at {top:.0f} HU, below the density of cement, and {WINDOWED:.2%} of it or more lie "
        "there: it was exported with a window; export it with its full range"
    )


def _places(scene: Scene, mask: NDArray[np.bool_]) -> tuple[tuple[float, float, float], ...]:
    """LPS centres of the pieces of a mask."""
    pieces, n = cc3d.connected_components(mask, connectivity=26, return_N=True)
    centres = scene.ct.grid.to_world(cc3d.statistics(pieces)["centroids"][1 : n + 1])
    return tuple((float(x), float(y), float(z)) for x, y, z in centres)


def _map(ct: Volume, scene: Scene, numbers: NDArray, metal: NDArray) -> Volume:
    array = np.zeros(ct.grid.shape, np.uint8)
    array[scene.place] = np.where(metal, METAL, np.minimum(numbers, METAL - 1))
    return Volume(array=array, grid=ct.grid, unit="label")
