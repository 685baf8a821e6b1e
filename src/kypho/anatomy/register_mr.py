"""Where one vertebra of the CT lies in an MR: rigid, from labels first, then from the images, or refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from kypho.anatomy.distance import smooth_distance
from kypho.anatomy.labels import Labels
from kypho.anatomy.model import Vertebra
from kypho.anatomy.mr_parts import MrParts, mr_parts
from kypho.anatomy.rigid import Rigid, refine_rigid
from kypho.errors import FrameOfReferenceError
from kypho.evidence import value
from kypho.space import Volume, sample_at

__all__ = ["MrRegistration", "register_mr"]

MOST_POINTS = 5000
FAR_MM = 8.0  # numerics: farther points are outliers of the labels and pull no harder
SOFT_MM = 1.0  # numerics: residuals beyond a voxel count linearly
CANAL_WEIGHT = 0.5
"""Segmenters disagree on where canal ends and sac begins; bone counts twice as much."""

RIM_MM = 8.0  # numerics: discs, canal and pedicles take part, but no neighbour, which has moved on its own
CLIP_HU = (-200.0, 800.0)  # numerics: between fat and cortex
SAMPLED_SHARE = 0.25
REFINE_STEP_MM = 0.8  # numerics: about a pixel; the labels already put it that near
WORSE_MM = 0.5  # numerics: the images may not pull the surfaces apart by more
BINS = 32
SHUFFLES = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class MrRegistration:
    """A vertebra's motion from the CT's world to the MR's, and how well it fits.

    Attributes:
        motion: CT to MR.
        surface_mm, surface_p95_mm: distance of the body's surface on MR from that on the CT, mean and 95 %.
        canal_mm: spread of the canal's distances; None without a label of it.
        information: mutual information of CT and MR over the body and its rim, nats.
        displaced: the largest one when the MR is displaced by ``mri.displaced_mm`` in six directions.
        shuffled: mean one with the voxels shuffled.
        refined: True if the images moved it from where the labels put it.
    """

    motion: Rigid
    surface_mm: float
    surface_p95_mm: float
    canal_mm: float | None
    information: float
    displaced: float
    shuffled: float
    refined: bool


def register_mr(
    mr: Volume, on_mr: Labels, labels: Labels, vertebra: Vertebra, name: str | None = None
) -> MrRegistration:
    """Register one vertebra of a CT to an MR.

    1. The frame of the body on the MR laid onto the frame on the CT.
    2. Least squares of the MR's body surface on the CT's distance to bone, and of its canal's surface on
       the distance to the canal. How far the sac lies within the bony canal is fitted along.
    3. Mattes' mutual information over the body and a rim; kept only near where the labels put it.
    4. Refused unless the surfaces agree, no neighbouring level fits better, and the images are more alike
       than when displaced or shuffled.

    Args:
        mr: MR image.
        on_mr: labels on its grid: the level or its body, and cord or canal.
        labels: labels on the CT.
        vertebra: model of the level on the CT.
        name: the body's name in `on_mr`; by default found by `mr_parts`.

    Raises:
        LevelError: the MR labels do not show the level.
        LabelsError: they show neither cord nor canal beside it.
        FrameOfReferenceError: the vertebra does not fit.
    """
    parts = mr_parts(on_mr, vertebra.level, name)
    start = Rigid.between(parts.frame, vertebra.frame)
    to_ct = _fit(parts, vertebra.bone_mm, vertebra.canal_mm, start)
    surface = _surface_mm(parts, vertebra.bone_mm, to_ct)
    _require_level(parts, labels, vertebra, to_ct)
    fixed, mask = _fixed(mr, vertebra)
    motion, refined = to_ct.inverse, False
    better = _refined(fixed, mask, mr, motion, vertebra)
    if better is not None:
        moved = np.linalg.norm(better.point(_corners(vertebra)) - motion.point(_corners(vertebra)), axis=1)
        after = _surface_mm(parts, vertebra.bone_mm, better.inverse)
        if moved.max() <= value("mri.refinement_mm") and after.mean() <= surface.mean() + WORSE_MM:
            motion, surface, refined = better, after, True
    found = MrRegistration(
        motion=motion,
        surface_mm=float(surface.mean()),
        surface_p95_mm=float(np.percentile(surface, 95)),
        canal_mm=_canal_spread(parts, vertebra, motion.inverse),
        refined=refined,
        **_information(fixed, mask, mr, motion),
    )
    _require_fit(found, vertebra.level)
    return found


def _fit(parts: MrParts, bone_mm: Volume, canal_mm: Volume | None, start: Rigid) -> Rigid:
    """The motion from MR to CT that lays the MR's surfaces onto the CT's distance maps."""
    keep = _sample(len(parts.surface_mm))
    body, weight = parts.surface_mm[keep], np.sqrt(parts.surface_weight[keep])
    canal = parts.canal_mm[_sample(len(parts.canal_mm))] if canal_mm is not None else np.empty((0, 3))
    centre = parts.frame.origin_mm
    share = CANAL_WEIGHT * np.sqrt(weight.mean() ** 2 * len(body) / max(len(canal), 1))

    def motion(x: NDArray) -> Rigid:
        turn = Rotation.from_rotvec(x[:3]).as_matrix()
        return start.after(Rigid.about(centre, turn, x[3:6]))

    def residuals(x: NDArray) -> NDArray[np.float64]:
        now = motion(x)
        on_bone = _clipped(bone_mm, now.point(body)) * weight
        if canal_mm is None or not len(canal):
            return on_bone
        return np.concatenate([on_bone, (_clipped(canal_mm, now.point(canal)) - x[6]) * share])

    done = least_squares(
        residuals, np.zeros(7), loss="soft_l1", f_scale=SOFT_MM, x_scale=[0.05] * 3 + [1.0] * 4
    )
    return motion(done.x)


def _sample(n: int) -> NDArray[np.int_]:
    """Which of n points take part: all, or a fixed random choice."""
    if n <= MOST_POINTS:
        return np.arange(n)
    return np.random.default_rng(0).choice(n, MOST_POINTS, replace=False)


def _clipped(distance: Volume, points: NDArray) -> NDArray[np.float64]:
    return np.clip(sample_at(distance, points, outside=-FAR_MM), -FAR_MM, FAR_MM)


def _surface_mm(parts: MrParts, bone_mm: Volume, to_ct: Rigid) -> NDArray[np.float64]:
    """Distances of the MR's body surface from the CT's bone, in its in-plane faces: they are sharp."""
    return np.abs(_clipped(bone_mm, to_ct.point(parts.surface_mm[parts.sharp])))


def _canal_spread(parts: MrParts, vertebra: Vertebra, to_ct: Rigid) -> float | None:
    if not len(parts.canal_mm):
        return None
    depth = _clipped(vertebra.canal_mm, to_ct.point(parts.canal_mm))
    return float(np.mean(np.abs(depth - np.median(depth))))


def _require_level(parts: MrParts, labels: Labels, vertebra: Vertebra, to_ct: Rigid) -> None:
    """Raise if the MR's vertebra fits a neighbouring level of the CT clearly better than the asked one."""
    own = None
    for name in (vertebra.level, *labels.neighbours(vertebra.level)):
        if name is None:
            continue
        box = labels.box(name, 2 * FAR_MM)
        grid = labels.volume.grid.within(box)
        bone = smooth_distance(labels.part(name, box), grid)
        step = labels.centre_mm(name) - labels.centre_mm(vertebra.level)
        start = Rigid(rotation=np.eye(3), shift_mm=step).after(to_ct)
        distance = float(_surface_mm(parts, bone, _fit(parts, bone, None, start)).mean())
        if own is None:
            own = distance
        elif own > value("mri.other_level_share") * distance:
            raise FrameOfReferenceError(
                f"the MR's {parts.name} fits {name} of the CT better than {vertebra.level} ({distance:.2f} "
                f"against {own:.2f} mm); check the levels of the MR labels"
            )


def _fixed(mr: Volume, vertebra: Vertebra) -> tuple[Volume, NDArray[np.bool_]]:
    """The CT as thick as the MR's slices on the vertebra's own grid, and the voxels to compare."""
    grid = vertebra.grid
    thick = int(np.argmax(mr.grid.spacing_mm))
    axis = int(np.argmax(np.abs(grid.axes.T @ mr.grid.axes[:, thick])))
    sigma = mr.grid.spacing_mm[thick] / np.sqrt(12) / grid.spacing_mm[axis]
    hu = gaussian_filter1d(np.clip(vertebra.hu.array, *CLIP_HU).astype(np.float32), sigma, axis=axis)
    near = smooth_distance(vertebra.body, grid).array > -RIM_MM
    return Volume(array=hu, grid=grid, unit="1"), np.asarray(near)


def _refined(
    fixed: Volume, mask: NDArray[np.bool_], mr: Volume, start: Rigid, vertebra: Vertebra
) -> Rigid | None:
    """The motion with the most mutual information near a start; None if the MR does not cover the body."""
    try:
        return refine_rigid(
            fixed,
            mask,
            mr,
            start,
            metric="mutual information",
            centre_mm=vertebra.frame.origin_mm,
            share=SAMPLED_SHARE,
            step_mm=REFINE_STEP_MM,
        )
    except RuntimeError:
        return None


def _corners(vertebra: Vertebra) -> NDArray[np.float64]:
    """The corners of the box around the body, LPS."""
    low, high = vertebra.body_box_mm
    return vertebra.frame.to_world(np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T)


def _information(fixed: Volume, mask: NDArray[np.bool_], mr: Volume, motion: Rigid) -> dict[str, float]:
    """Mutual information where it is, displaced and shuffled."""
    where = fixed.grid.to_world(np.argwhere(mask))
    hu = fixed.array[mask]
    reach = value("mri.displaced_mm")
    here = _mutual(hu, mr, motion.point(where))
    steps = np.concatenate([np.eye(3), -np.eye(3)]) * reach
    away = max(_mutual(hu, mr, motion.point(where + fixed.grid.axes @ step)) for step in steps)
    random = np.random.default_rng(0)
    mixed = [_mutual(random.permutation(hu), mr, motion.point(where)) for _ in range(SHUFFLES)]
    return {"information": here, "displaced": away, "shuffled": float(np.mean(mixed))}


def _mutual(hu: NDArray, mr: Volume, points: NDArray) -> float:
    """Mutual information in nats of CT values and the MR's at points, over those inside the MR."""
    signal = sample_at(mr, points, outside=np.nan)
    inside = np.isfinite(signal)
    if np.count_nonzero(inside) < BINS * BINS:
        return 0.0
    a, b = hu[inside], signal[inside]
    spans = [np.percentile(x, [0.5, 99.5]) + np.array([0, 1e-6]) for x in (a, b)]
    joint = np.histogram2d(a, b, BINS, range=spans)[0]
    joint /= joint.sum()
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    held = joint > 0
    return float((joint[held] * np.log(joint[held] / product[held])).sum())


def _require_fit(found: MrRegistration, level: str) -> None:
    """Raise with the reason unless surfaces and images agree."""
    why = []
    if found.surface_mm > value("mri.surface_mm"):
        why.append(
            f"the surface of the body lies {found.surface_mm:.1f} mm off on average (at most "
            f"{value('mri.surface_mm'):g})"
        )
    if found.canal_mm is not None and found.canal_mm > value("mri.canal_mm"):
        why.append(f"the canal's wall lies {found.canal_mm:.1f} mm off (at most {value('mri.canal_mm'):g})")
    if found.information <= found.displaced:
        why.append(
            f"CT and MR are no more alike than {value('mri.displaced_mm'):g} mm away (information "
            f"{found.information:.3f} against {found.displaced:.3f})"
        )
    if found.information < value("mri.information_over_shuffled") * found.shuffled:
        why.append(
            f"CT and MR are hardly more alike than shuffled (information {found.information:.3f} against "
            f"{found.shuffled:.3f})"
        )
    if why:
        raise FrameOfReferenceError(
            f"the MR does not fit the CT at {level}: {'; '.join(why)}; check patient, level and labels"
        )
