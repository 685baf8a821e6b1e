"""How much of the canal the cement takes, on which side, within or outside the dura, and if one can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.evidence import interval, value
from kypho.leakage.parts import Interval, Measured, MeasuredPart
from kypho.leakage.scene import Scene
from kypho.leakage.segment import Segmentation
from kypho.space import sample_at

__all__ = ["CanalFinding", "CanalSlice", "DuraReading", "read_canal"]

SMALL_CANAL_MM2 = 40.0  # numerics: a smaller cut is the rim of the canal's mask, not a cross-section
SIDE_MM = 1.0  # numerics: as for parts
FEW = 15  # numerics: voxels; fewer tell neither spread nor kind
NO_NOISE_HU = 2.0  # numerics: a rounded constant
OWN_SHARE = 0.5  # of the cement; beyond the level's own canal its wall, and so the dura, is not modelled
OFF_CANAL_MM = -15.0  # numerics: farther out lies beyond the model, where no depth is known
BLOOM_MM = 1.0  # numerics: metal of the wall blooms into the canal by less
WALL_MM = 0.9  # numerics: nearer than a voxel and a half counts as touching the wall


@dataclass(frozen=True, kw_only=True)
class CanalSlice:
    """One axial slice of the canal.

    Attributes:
        index: slice of the whole CT.
        z_mm: LPS superior coordinate of the canal's middle in it.
        canal_mm2: area of the canal.
        encroachment_percent: share of it taken by cement, with bounds.
        free_diameter_mm: diameter of the largest circle left.
        cord_gap_mm: distance from cement to the cord's label; None without cement or label.
        streak_hu: spread of HU in the canal away from cement, 5th to 95th percentile.
        tissue: False where what lies in the canal away from cement is no cord, fluid and fat, or no image.
        readable: False where streaks or metal hide the canal, or no tissue is seen in it.
    """

    index: int
    z_mm: float
    canal_mm2: float
    encroachment_percent: Interval
    free_diameter_mm: float
    cord_gap_mm: float | None
    streak_hu: float
    tissue: bool
    readable: bool


@dataclass(frozen=True, kw_only=True)
class DuraReading:
    """Within the dura or outside.

    Attributes:
        state: "none", "epidural", "intradural", "both" or "undetermined".
        inside_share: share of the canal cement inside the assumed dura.
        signs: what speaks for and against, in words.
    """

    state: str
    inside_share: float
    signs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CanalFinding:
    """The canal of the level.

    Attributes:
        found: cement in the canal.
        ml: its volume.
        max_encroachment_percent: largest share of the area in one slice, with bounds.
        at_lps_mm: centre of the canal cement in that slice; None without.
        side: "left", "right", "midline" or "none".
        dura: epidural or intradural, with the signs.
        slices: every slice of the canal with its readings, head last.
        crumbs: parts that lie mostly in the canal, where all of them together are too little to state a leak.
        metal_mm3: metal in the canal, beyond its blooming.
        readable: False if too many slices cannot be read to say "no leak".
    """

    found: bool
    ml: float
    max_encroachment_percent: Interval
    at_lps_mm: tuple[float, float, float] | None
    side: str
    dura: DuraReading
    slices: tuple[CanalSlice, ...]
    crumbs: int
    metal_mm3: float
    readable: bool

    @property
    def strange(self) -> tuple[str, ...]:
        """What in the canal is neither its tissue nor cement, in words."""
        blank = sum(not row.tissue for row in self.slices)
        said = []
        if blank:
            slices = "slice" if blank == 1 else "slices"
            said.append(f"no tissue is seen in it in {blank} {slices} (air, contrast, no image)")
        if self.metal_mm3 >= value("leak.canal_metal_mm3"):
            said.append(f"{self.metal_mm3 / 1000:.2f} mL of metal lie in it")
        return tuple(said)


def read_canal(scene: Scene, segmentation: Segmentation, measured: Measured) -> CanalFinding:
    """Measure the canal slice by slice.

    Encroachment is the area of cement over the area of the canal in the axial slice (Zhang et al. 2019);
    the bounds come from the boundary's interval.
    """
    parts = [part for part in measured.parts if part.canal_ml > 0]
    ml = sum(part.canal_ml for part in parts)
    found = ml >= value("leak.canal_found_ml")
    rows = _slices(scene, segmentation, measured)
    worst = max(rows, key=lambda r: r.encroachment_percent.value, default=None)
    zero = Interval(value=0.0, low=0.0, high=0.0)
    unread = np.mean([not row.readable for row in rows]) if rows else 1.0
    return CanalFinding(
        found=found,
        ml=float(ml),
        max_encroachment_percent=worst.encroachment_percent if found and worst else zero,
        at_lps_mm=_place(scene, parts, worst) if found and worst else None,
        side=_side(scene, parts) if found else "none",
        dura=_dura(scene, parts) if found else DuraReading(state="none", inside_share=0.0, signs=()),
        slices=tuple(rows),
        metal_mm3=float(
            np.count_nonzero(segmentation.metal & (scene.canal_mm > BLOOM_MM)) * scene.ct.grid.voxel_mm3
        ),
        crumbs=0 if found else sum(part.canal_ml > 0.5 * part.ml.value for part in parts),
        readable=bool(unread <= value("leak.unreadable_slices_share")),
    )


def _slices(scene: Scene, segmentation: Segmentation, measured: Measured) -> list[CanalSlice]:
    pixel = scene.ct.grid.spacing_mm[1]
    share = np.where(scene.canal_mm > OFF_CANAL_MM, np.clip(scene.canal_mm / pixel + 0.5, 0, 1), 0)
    share = np.maximum(share, scene.cord)
    area = share.sum(axis=(1, 2)) * pixel * scene.ct.grid.spacing_mm[2]
    dense = segmentation.cement | segmentation.metal
    near_dense = ndimage.binary_dilation(dense, np.ones((1, 5, 5), bool)) if dense.any() else dense
    clear = (share > 0) & ndimage.binary_erosion(scene.canal, np.ones((1, 3, 3), bool)) & ~near_dense
    level = np.asarray((scene.canal_mm > 0).any(axis=(1, 2)))
    rows = []
    for k in map(int, np.nonzero(area >= SMALL_CANAL_MM2)[0]):
        if not level[k] and measured.canal_mm2[0, k] == 0:
            continue
        percent = 100 * measured.canal_mm2[:, k] / area[k]
        streak, tissue = _spread(scene.ct.array[k][clear[k]]), _is_tissue(scene.ct.array[k][clear[k]])
        rows.append(
            CanalSlice(
                index=k + scene.start[0],
                z_mm=_z_mm(scene, k, share[k]),
                canal_mm2=float(area[k]),
                encroachment_percent=Interval(
                    value=float(min(percent[0], 100)), low=float(percent[1]), high=float(min(percent[2], 100))
                ),
                free_diameter_mm=_free_diameter(share[k], dense[k], scene.ct.grid.spacing_mm[1:]),
                cord_gap_mm=_cord_gap(scene, segmentation.cement, int(k), measured.canal_mm2[0, k] > 0),
                streak_hu=streak,
                tissue=tissue,
                readable=bool(streak <= value("leak.streak_hu")) and tissue,
            )
        )
    return rows


def _z_mm(scene: Scene, k: int, share: NDArray) -> float:
    """Slices of a tilted gantry, or of a turned grid, have no one height; the canal has in each of them."""
    j, i = ndimage.center_of_mass(share)
    return float(scene.ct.grid.to_world([k, j, i])[2])


def _is_tissue(hu: NDArray) -> bool:
    """Whether HU of the canal are those of its contents; where too few are seen nothing speaks against it.

    A scanner's image has noise: a canal of one value is painted over, or padding.
    """
    if len(hu) < FEW:
        return True
    low, high = interval("leak.canal_tissue_hu")
    return bool(low <= np.median(hu) <= high and np.ptp(hu) > NO_NOISE_HU)


def _spread(hu: NDArray) -> float:
    if len(hu) < FEW:
        return float("inf")
    low, high = np.percentile(hu, [5, 95])
    return float(high - low)


def _free_diameter(share: NDArray, dense: NDArray, pixels_mm: tuple[float, ...]) -> float:
    free = (share > 0.5) & ~dense
    depth = ndimage.distance_transform_edt(np.pad(free, 1), sampling=pixels_mm)
    return float(max(0.0, 2 * depth.max() - max(pixels_mm)))


def _cord_gap(scene: Scene, cement: NDArray, k: int, has_cement: bool) -> float | None:
    if not has_cement or not scene.cord[k].any():
        return None
    inner = cement[k] & scene.canal[k]
    if not inner.any():
        return None
    distance = ndimage.distance_transform_edt(~scene.cord[k], sampling=scene.ct.grid.spacing_mm[1:])
    return float(distance[inner].min())


def _canal_points(scene: Scene, part: MeasuredPart) -> NDArray[np.float32]:
    """Fine points of a part that lie in the canal, local mm."""
    world = scene.vertebra.frame.to_world(part.points_mm)
    depth = sample_at(scene.vertebra.canal_mm, world, outside=-20.0)
    beyond = np.zeros(len(depth), bool)
    if scene.cord.any():
        index = np.rint(scene.ct.grid.to_index(world)).astype(int)
        index = np.clip(index, 0, np.asarray(scene.cord.shape) - 1)
        beyond = scene.cord[tuple(index.T)]
    return np.asarray(part.points_mm[(depth > 0) | beyond])


def _place(
    scene: Scene, parts: Sequence[MeasuredPart], worst: CanalSlice
) -> tuple[float, float, float] | None:
    points = np.vstack([_canal_points(scene, part) for part in parts])
    if not len(points):
        return None
    world = scene.vertebra.frame.to_world(points)
    near = np.abs(scene.ct.grid.to_index(world)[:, 0] - (worst.index - scene.start[0])) <= 0.75
    x, y, z = (world[near] if near.any() else world).mean(axis=0)
    return float(x), float(y), float(z)


def _side(scene: Scene, parts: Sequence[MeasuredPart]) -> str:
    points = [_canal_points(scene, part)[:, 0] for part in parts]
    left = float(np.concatenate(points).mean()) if sum(map(len, points)) else 0.0
    return "midline" if abs(left) < SIDE_MM else "left" if left > 0 else "right"


def _dura(scene: Scene, parts: Sequence[MeasuredPart]) -> DuraReading:
    """Read each part of the canal cement by itself, and put the readings together."""
    large = [part for part in parts if part.canal_ml >= value("leak.canal_found_ml")]
    readings = [_of_part(scene, [part]) for part in large] if len(large) > 1 else [_of_part(scene, parts)]
    if len(readings) == 1:
        return readings[0]
    states = {reading.state for reading in readings}
    # One part certainly within the dura is what counts; one that may be makes an epidural rest no comfort.
    if {"epidural", "intradural"} <= states:
        state = "both"
    else:
        state = next(s for s in ("intradural", "undetermined", "epidural") if s in states)
    ml = [part.canal_ml for part in large]
    return DuraReading(
        state=state,
        inside_share=float(np.average([reading.inside_share for reading in readings], weights=ml)),
        signs=tuple(
            f"{amount:.2f} mL {reading.state}: {'; '.join(reading.signs)}"
            for amount, reading in zip(ml, readings, strict=True)
        ),
    )


def _of_part(scene: Scene, parts: Sequence[MeasuredPart]) -> DuraReading:
    """Share of the cement deeper than the epidural space, and what speaks for either side.

    Without MRI the dura is taken to lie `leak.dura_gap_mm` inside the canal's wall; its interval decides
    whether the reading holds.
    """
    points = np.vstack([_canal_points(scene, part) for part in parts])
    if not len(points):
        return DuraReading(state="undetermined", inside_share=0.0, signs=("too little cement to tell",))
    depth = sample_at(scene.vertebra.canal_mm, scene.vertebra.frame.to_world(points), outside=-20.0)
    if np.mean(depth > 0) < OWN_SHARE:
        sign = "lies mostly beyond this level's own arch, where no wall of the canal is modelled"
        return DuraReading(state="undetermined", inside_share=0.0, signs=(sign,))
    depth = depth[depth > 0]
    gap = value("leak.dura_gap_mm")
    share = float(np.mean(depth > gap))
    share_if_thick = float(np.mean(depth > interval("leak.dura_gap_mm")[1]))
    signs = [f"{100 * share:.0f} % of it lies deeper than {gap:g} mm from the canal's wall"]
    rooted = float(np.mean(depth < WALL_MM))
    floats, roots = interval("leak.rooted_share")
    signs.append(
        "lies broadly on the wall of the canal"
        if rooted > roots
        else f"stays {float(np.percentile(depth, 3)):.1f} mm clear of the wall: a gap of fat or fluid"
        if rooted < floats
        else "touches the wall of the canal at one place"
    )
    contact = any(part.exit_mm is not None for part in parts)
    signs.append(
        "hangs on the cement inside the vertebra" if contact else "hangs on no cement inside the vertebra"
    )
    state = _state(share, share_if_thick, rooted)
    if state == "undetermined":
        signs.append("the assumed place of the dura decides; MRI or CT myelography is needed")
    return DuraReading(state=state, inside_share=share, signs=tuple(signs))


def _state(share: float, share_if_thick: float, rooted: float) -> str:
    """Deep and floating is intradural; shallow, or rooted at the wall and growing inwards, epidural."""
    floats, roots = interval("leak.rooted_share")
    deep = share > value("leak.intradural_share")
    if share < value("leak.epidural_share") or (rooted > roots and not deep):
        return "epidural"
    if share > value("leak.intradural_share") and rooted < roots and share_if_thick > 0:
        return "intradural" if rooted < floats or share_if_thick > 0.5 else "undetermined"
    return "undetermined"
