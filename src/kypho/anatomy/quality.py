"""Is the label of a level fit to plan on? Each check has a state and a reason."""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kypho.anatomy.labels import Labels
from kypho.errors import LevelIncompleteError

__all__ = ["QualityCheck", "inside_scan", "main_box", "quality_of", "require_complete"]

MAIN_PIECE_SHARE = 0.95  # numerics: automatic labels shed specks; a lost process is more than 5 %
HOLE_SHARE = 0.05  # numerics: closed holes up to this share of the label are filled silently
BORDER_VOXELS = 1.0  # numerics: what lies within a voxel of the border may go on beyond it
MERGED_RATIO = 1.7  # numerics: neighbours differ by 10-20 % in volume; two levels in one label double it


@dataclass(frozen=True, kw_only=True)
class QualityCheck:
    """One check of a level's label: `passed`, and the reason in words with the measured value."""

    name: str
    passed: bool
    reason: str


def quality_of(labels: Labels, level: str) -> tuple[QualityCheck, ...]:
    """Check a level's label: one piece, no holes, not two levels in one."""
    box = labels.box(level)
    part = labels.part(level, box)
    size = int(np.count_nonzero(part))
    return (_one_piece(part, size), _no_holes(part, size), _not_merged(labels, level, size))


def main_box(labels: Labels, level: str, margin_mm: float) -> tuple[slice, slice, slice]:
    """Slices ``[k, j, i]`` around the largest piece of a level; specks beyond the margin are left out."""
    box = labels.box(level)
    pieces = cc3d.connected_components(labels.part(level, box), connectivity=26)
    main = int(np.argmax(np.bincount(pieces.ravel())[1:])) + 1
    where, grid = ndimage.find_objects(pieces)[main - 1], labels.volume.grid
    wide = [int(np.ceil(margin_mm / s)) for s in grid.spacing_mm]
    k, j, i = (
        slice(max(0, b.start + w.start - n), min(size, b.start + w.stop + n))
        for b, w, n, size in zip(box, where, wide, grid.shape, strict=True)
    )
    return k, j, i


def require_complete(level: str, checks: tuple[QualityCheck, ...]) -> None:
    """Raise LevelIncompleteError with every reason unless all checks passed."""
    failed = [check.reason for check in checks if not check.passed]
    if failed:
        raise LevelIncompleteError(
            f"{level} cannot be used: {'; '.join(failed)}. Choose another level or mend the labels"
        )


def inside_scan(labels: Labels, level: str, core_mm: NDArray[np.float64] | None) -> QualityCheck:
    """Is the level inside the scan? Processes may be cut off, body and pedicles may not.

    Args:
        labels: the labels.
        level: the level.
        core_mm: LPS points (n, 3) of body and pedicles; None while they are not known, and then any cut
            counts.
    """
    box, grid = main_box(labels, level, 0.0), labels.volume.grid
    touches = [
        name
        for name, part, n in zip(("slice", "row", "column"), box, grid.shape, strict=True)
        if part.start == 0 or part.stop == n
    ]
    if not touches:
        return QualityCheck(name="complete", passed=True, reason="inside the scan")
    cut = f"cut off by the border of the scan (first or last {', '.join(touches)})"
    if core_mm is None:
        return QualityCheck(name="complete", passed=False, reason=cut)
    index = grid.to_index(core_mm)
    safe = bool(np.all((index >= BORDER_VOXELS) & (index <= np.asarray(grid.shape) - 1 - BORDER_VOXELS)))
    reason = f"a process is {cut}; body and pedicles are inside" if safe else f"body or pedicle {cut}"
    return QualityCheck(name="complete", passed=safe, reason=reason)


def _one_piece(mask: np.ndarray, size: int) -> QualityCheck:
    pieces = cc3d.connected_components(mask, connectivity=26)
    main = int(np.bincount(pieces.ravel())[1:].max())
    share = main / size
    return QualityCheck(
        name="one_piece",
        passed=share >= MAIN_PIECE_SHARE,
        reason=f"largest piece holds {100 * share:.1f} % of the label",
    )


def _no_holes(mask: np.ndarray, size: int) -> QualityCheck:
    holes = int(np.count_nonzero(ndimage.binary_fill_holes(mask))) - size
    return QualityCheck(
        name="no_holes",
        passed=holes <= HOLE_SHARE * size,
        reason=f"closed holes are {100 * holes / size:.1f} % of the label",
    )


def _not_merged(labels: Labels, level: str, size: int) -> QualityCheck:
    sizes = [
        int(np.count_nonzero(labels.part(name))) for name in labels.neighbours(level) if name is not None
    ]
    if not sizes:
        return QualityCheck(name="one_level", passed=True, reason="no neighbour to compare the volume with")
    ratio = size / max(sizes)
    return QualityCheck(
        name="one_level",
        passed=ratio <= MERGED_RATIO,
        reason=f"{ratio:.2f} times the volume of the larger neighbour",
    )
