"""Synthetic post-operative CT: cement of known shape and route put into a real CT, with its exact truth."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_opening, fourier_gaussian, gaussian_filter

from kypho.errors import SettingsError
from kypho.phantoms.postop_confusers import CONFUSERS, MATERIAL_OF, make_confuser
from kypho.phantoms.postop_lattice import FINE_STEP_MM, Anatomy, Shape, Site
from kypho.phantoms.postop_shapes import ROUTES, make_shape
from kypho.phantoms.xray_ct import MATERIALS, Scanner, SliceInsert, insert_change_hu
from kypho.space import Grid, Volume, resample

__all__ = ["Leak", "PostopPhantom", "PostopRecipe", "make_postop", "thin_slices", "write_truth"]

SUB_PIXELS = 3
"""Fine pixels per CT pixel in the slice plane."""

HU_TOP = 3071
"""Largest value of a 12-bit CT."""

FIELD_MM = 70.0
"""Half width of the square around the vertebra in which streaks are drawn."""

WHOLE_SHARE = 0.9
"""Of the usual area of a level's canal, from which a slice is taken to hold all of it."""

MIDLINE_MM = 1.0
"""A part whose centre lies nearer to the mid-sagittal plane has no side."""


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One leak to draw: a route of ROUTES, its side and its volume outside the bone."""

    route: str
    side: str = "left"
    volume_ml: float = 0.2


@dataclass(frozen=True, kw_only=True)
class PostopRecipe:
    """What to put into a CT.

    Attributes:
        seed: decides every random detail.
        leaks: leaks to draw.
        fill_ml: cement inside the body; 0 for none.
        fill_side: which half of the body it fills first.
        cement: a material of `MATERIALS` whose name starts with "cement".
        packing: share of the volume that the cement takes inside the bone; the rest is trabeculae and fat.
        packing_outside: the same outside.
        confusers: any of CONFUSERS.
        scanner: kernel, photons and scatter.
        native_fwhm_mm: resolution of the CT that the cement is put into; if given, the CT is blurred to the
            scanner's kernel, so that the patient and the cement are seen by one scanner.
    """

    seed: int
    leaks: tuple[Leak, ...] = ()
    fill_ml: float = 2.0
    fill_side: str = "left"
    cement: str = "cement BaSO4 30%"
    packing: float = 0.7
    packing_outside: float = 0.95
    confusers: tuple[str, ...] = ()
    scanner: Scanner = field(default_factory=Scanner)
    native_fwhm_mm: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class PostopPhantom:
    """A synthetic post-operative CT.

    Attributes:
        ct: HU, int16, saturated at HU_TOP.
        cement: share of each CT voxel taken by cement, unit "1".
        truth: volumes, routes, sides and encroachment, as written to truth.json.
    """

    ct: Volume
    cement: Volume
    truth: dict[str, Any]


def thin_slices(volume: Volume, slice_mm: float) -> Volume:
    """The volume on slices of another distance, linearly interpolated (labels: nearest)."""
    grid = volume.grid
    count = int(np.floor((grid.shape[0] - 1) * grid.spacing_mm[0] / slice_mm + 1e-6)) + 1
    thin = Grid(
        shape=(count, *grid.shape[1:]),
        spacing_mm=(slice_mm, *grid.spacing_mm[1:]),
        origin_mm=grid.origin_mm,
        axes=grid.axes,
        frame_of_reference=grid.frame_of_reference,
    )
    return resample(volume, thin)


def make_postop(
    ct: Volume, other_bone: Volume, anatomy: Anatomy, recipe: PostopRecipe, *, aorta: NDArray | None = None
) -> PostopPhantom:
    """Put cement and confusers into a CT.

    Args:
        ct: the real CT, whole slices, so that rays cross the whole patient.
        other_bone: mask of every bone but the vertebra on the CT's grid, unit "label".
        anatomy: the vertebra.
        recipe: what to put in.
        aorta: mask that contrast brightens, if the recipe asks for contrast.

    Raises:
        SettingsError: an unknown route, confuser or cement.
    """
    _check(recipe)
    rng = np.random.default_rng(recipe.seed)
    site = Site(anatomy=anatomy, other_bone=other_bone, lattice=_lattice(ct.grid))
    parts = _cement_parts(site, recipe, rng)
    extras = [make_confuser(site, name, recipe.fill_side, rng) for name in recipe.confusers]
    block = _Block.around(site.lattice, [s for part in parts for s in part] + [s for _, s in extras])
    for number, shapes in enumerate(parts, start=1):
        for shape in shapes:
            block.paint(shape, 1 if shape.route == "inside" else number)
    for number, (_, shape) in enumerate(extras, start=100):
        block.paint(shape, number)
    base = np.asarray(ct.array, np.float32)
    if aorta is not None and "contrast" in recipe.confusers:
        base = base + 260 * gaussian_filter(aorta.astype(np.float32), (0.3, 1, 1))
    base = _as_seen(base, ct.grid.spacing_mm[1], recipe)
    array, share = _scan(base, ct.grid, site, block, recipe, [name for name, _ in extras], rng)
    truth = _truth(site, block, parts, recipe, ct.grid)
    return PostopPhantom(ct=ct.like(array), cement=Volume(array=share, grid=ct.grid, unit="1"), truth=truth)


def write_truth(path: Path, phantom: PostopPhantom) -> None:
    """Write the truth as JSON."""
    path.write_text(json.dumps(phantom.truth, indent=1) + "\n", encoding="utf-8")


def _check(recipe: PostopRecipe) -> None:
    for leak in recipe.leaks:
        if leak.route not in ROUTES:
            raise SettingsError(f"unknown route {leak.route!r}; choose one of {', '.join(ROUTES)}")
    for name in recipe.confusers:
        if name not in CONFUSERS:
            raise SettingsError(f"unknown confuser {name!r}; choose one of {', '.join(CONFUSERS)}")
    if recipe.native_fwhm_mm is not None and recipe.scanner.fwhm_mm < recipe.native_fwhm_mm:
        raise SettingsError(
            f"the scanner's kernel of {recipe.scanner.fwhm_mm} mm is sharper than the CT's own resolution of "
            f"{recipe.native_fwhm_mm} mm; choose a softer one"
        )
    if not recipe.cement.startswith("cement") or recipe.cement not in MATERIALS:
        names = ", ".join(name for name in MATERIALS if name.startswith("cement"))
        raise SettingsError(f"unknown cement {recipe.cement!r}; choose one of {names}")


def _lattice(grid: Grid) -> Grid:
    """The CT's grid cut into fine voxels: thirds of a pixel, quarters of a millimetre along the slices."""
    layers = max(1, round(grid.spacing_mm[0] / FINE_STEP_MM))
    cuts = np.array([layers, SUB_PIXELS, SUB_PIXELS])
    fine = np.asarray(grid.spacing_mm) / cuts
    return Grid(
        shape=(grid.shape[0] * layers, grid.shape[1] * SUB_PIXELS, grid.shape[2] * SUB_PIXELS),
        spacing_mm=(float(fine[0]), float(fine[1]), float(fine[2])),
        origin_mm=grid.to_world((1 / cuts - 1) / 2),
        axes=grid.axes,
    )


def _as_seen(base: NDArray, pixel_mm: float, recipe: PostopRecipe) -> NDArray[np.float32]:
    """The patient through the scanner's kernel: variances of Gaussian blurs add up.

    By the Fourier transform, for a Gaussian sampled at pixels that are wider than it blurs too little. What
    lies beyond the scanner's field has one value, five pixels wide and more, and no part in it: its border is
    cut, not seen.
    """
    if recipe.native_fwhm_mm is None:
        return np.asarray(base, np.float32)
    base = np.array(base, np.float32)
    more = max(recipe.scanner.fwhm_mm**2 - recipe.native_fwhm_mm**2, 0.0)
    sigma = np.sqrt(more / (8 * np.log(2))) / pixel_mm
    inside = ~binary_opening(base == base.min(), np.ones((1, 5, 5), bool))
    for image, within in zip(base, inside, strict=True):
        weight = _blurred(within.astype(np.float32), sigma)
        image[within] = (_blurred(image * within, sigma) / np.maximum(weight, 1e-3))[within]
    return base


def _blurred(image: NDArray, sigma: float) -> NDArray[np.float64]:
    spectrum = fourier_gaussian(np.fft.rfft2(image), sigma, n=image.shape[1])
    return np.asarray(np.fft.irfft2(spectrum, image.shape))


def _cement_parts(site: Site, recipe: PostopRecipe, rng: np.random.Generator) -> list[list[Shape]]:
    """Shapes of the cement: first what is inside, then one list per leak."""
    inside: list[Shape] = []
    if recipe.fill_ml > 0:
        inside = make_shape(site, "inside", recipe.fill_side, 1000 * recipe.fill_ml, rng)
    leaks = [make_shape(site, leak.route, leak.side, 1000 * leak.volume_ml, rng) for leak in recipe.leaks]
    return [inside, *leaks]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Block:
    """A box of the lattice with a number per fine voxel: 0 none, 1 inside, 2.. leaks, 100.. confusers."""

    start: NDArray[np.int_]
    numbers: NDArray[np.uint8]

    @staticmethod
    def around(lattice: Grid, shapes: list[Shape]) -> _Block:
        if not shapes:
            return _Block(start=np.zeros(3, int), numbers=np.zeros((1, 1, 1), np.uint8))
        start = np.min([s.start for s in shapes], axis=0)
        stop = np.max([s.start + s.mask.shape for s in shapes], axis=0)
        layers = np.asarray(lattice.shape)
        return _Block(start=start, numbers=np.zeros(np.minimum(stop, layers) - start, np.uint8))

    def paint(self, shape: Shape, number: int) -> None:
        first = shape.start - self.start
        place = tuple(slice(a, a + n) for a, n in zip(first, shape.mask.shape, strict=True))
        target = self.numbers[place]
        target[shape.mask & (target == 0)] = number


def _scan(
    base: NDArray,
    grid: Grid,
    site: Site,
    block: _Block,
    recipe: PostopRecipe,
    extras: list[str],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """The scanner's view of the block: HU of the whole CT, and the cement's share of each voxel."""
    hu = base.copy()
    share = np.zeros(grid.shape, np.float32)
    layers = site.lattice.shape[0] // grid.shape[0]
    roi = _roi(grid, site)
    taper = np.outer(_taper(roi[0]), _taper(roi[1]))
    fine_mm = grid.spacing_mm[1] / SUB_PIXELS
    origin = (block.start[1:] + 0.5) / SUB_PIXELS - 0.5
    materials = {number: MATERIALS[MATERIAL_OF[name]] for number, name in enumerate(extras, start=100)}
    first, last = block.start[0] // layers, (block.start[0] + block.numbers.shape[0] - 1) // layers
    for k in range(max(first, 0), min(last, grid.shape[0] - 1) + 1):
        low, high = k * layers - block.start[0], (k + 1) * layers - block.start[0]
        slab = block.numbers[max(low, 0) : max(high, 0)]
        if not slab.any():
            continue
        inside = (slab == 1).sum(axis=0, dtype=np.float32) / layers
        outside = ((slab > 1) & (slab < 100)).sum(axis=0, dtype=np.float32) / layers
        inserts = [
            SliceInsert(
                material=MATERIALS[recipe.cement],
                share=recipe.packing * inside + recipe.packing_outside * outside,
            )
        ]
        for number, material in materials.items():
            taken = (slab == number).sum(axis=0, dtype=np.float32) / layers
            if taken.any():
                inserts.append(SliceInsert(material=material, share=taken))
        change = insert_change_hu(
            base[k],
            grid.spacing_mm[1],
            inserts,
            (float(origin[0]), float(origin[1])),
            fine_mm,
            roi,
            recipe.scanner,
            slice_mm=grid.spacing_mm[0],
            rng=rng,
        )
        hu[k, roi[0], roi[1]] += change * taper
        _add_share(share[k], inside + outside, block.start[1:])
    return np.clip(np.rint(hu), -1024, HU_TOP).astype(np.int16), share


def _roi(grid: Grid, site: Site) -> tuple[slice, slice]:
    middle = grid.to_index(site.anatomy.frame.origin_mm)
    reach = FIELD_MM / grid.spacing_mm[1]
    low = np.maximum(np.rint(middle - reach).astype(int), 0)
    high = np.minimum(np.rint(middle + reach).astype(int) + 1, grid.shape)
    return slice(int(low[1]), int(high[1])), slice(int(low[2]), int(high[2]))


def _taper(part: slice) -> NDArray[np.float32]:
    """One inside, falling to zero over the last twelve pixels: the field has no visible border."""
    n = part.stop - part.start
    edge = np.minimum(np.arange(n), np.arange(n)[::-1])
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(edge / 12, 0, 1)), np.float32)


def _add_share(target: NDArray, fine: NDArray, start: NDArray) -> None:
    row, column = np.nonzero(fine)
    place = ((row + start[0]) // SUB_PIXELS, (column + start[1]) // SUB_PIXELS)
    np.add.at(target, place, fine[row, column] / SUB_PIXELS**2)


def _truth(
    site: Site, block: _Block, parts: list[list[Shape]], recipe: PostopRecipe, grid: Grid
) -> dict[str, Any]:
    voxel_ml = site.lattice.voxel_mm3 / 1000
    count = np.bincount(block.numbers.ravel(), minlength=256)
    canal = _canal_truth(site, block, grid)
    rows: list[dict[str, Any]] = []
    for number, leak in enumerate(recipe.leaks, start=2):
        where = np.argwhere(block.numbers == number)
        if not len(where):
            continue
        centre = site.lattice.to_world(where.mean(axis=0) + block.start)
        exit_mm = parts[number - 1][0].exit_mm
        route = "cortical_canal" if leak.route == "intradural" else leak.route
        rows.append(
            {
                "id": number - 1,
                "drawn": leak.route,
                "route": route,
                "side": _side(float(site.anatomy.frame.to_local(centre)[0])),
                "ml": round(float(count[number] * voxel_ml), 6),
                "canal_ml": round(float(canal["by_part"].get(number, 0) * voxel_ml), 6),
                "centre_lps_mm": [round(float(c), 3) for c in centre],
                "exit_lps_mm": None
                if exit_mm is None
                else [round(float(c), 3) for c in site.anatomy.frame.to_world(exit_mm)],
            }
        )
    states = {"intradural" if r["drawn"] == "intradural" else "epidural" for r in rows if r["canal_ml"] > 0}
    state = "none" if not states else states.pop() if len(states) == 1 else "both"
    return {
        "synthetic": True,
        "recipe": asdict(recipe),
        "cement_ml": round(float(count[1:100].sum() * voxel_ml), 6),
        "inside_ml": round(float(count[1] * voxel_ml), 6),
        "parts": rows,
        "canal": {"state": state, **{k: v for k, v in canal.items() if k != "by_part"}},
        "confusers": list(recipe.confusers),
    }


def _side(left_mm: float) -> str:
    if abs(left_mm) < MIDLINE_MM:
        return "midline"
    return "left" if left_mm > 0 else "right"


def _canal_truth(site: Site, block: _Block, grid: Grid) -> dict[str, Any]:
    """Cement in the canal: volume, side and share of the canal's area in every CT slice."""
    nothing = {
        "by_part": {},
        "ml": 0.0,
        "side": "none",
        "max_percent": 0.0,
        "at_slice": None,
        "per_slice": {},
    }
    layers = site.lattice.shape[0] // grid.shape[0]
    patch = site.patch(np.array([0.0, float(site.anatomy.wall.y_mm(0.0)) + 9, 0.0]), np.array([18, 18, 20]))
    canal = patch.canal_mm > 0
    cement = np.zeros(canal.shape, np.uint8)
    low = np.maximum(patch.start, block.start)
    high = np.minimum(patch.start + canal.shape, block.start + block.numbers.shape)
    if np.any(high <= low):
        return nothing
    inner = tuple(slice(a, b) for a, b in zip(low - patch.start, high - patch.start, strict=True))
    outer = tuple(slice(a, b) for a, b in zip(low - block.start, high - block.start, strict=True))
    cement[inner] = np.where(block.numbers[outer] < 100, block.numbers[outer], 0)
    cement[~canal] = 0
    if not cement.any():
        return nothing
    slices = (patch.start[0] + np.arange(canal.shape[0])) // layers
    area = np.bincount(slices, canal.sum(axis=(1, 2)))
    taken = np.bincount(slices, (cement > 0).sum(axis=(1, 2)))
    whole = np.bincount(slices) == layers
    # At either end a slice holds only part of this level's canal; the rest of it is the neighbour's.
    usual = np.median(area[area > 0])
    full = np.nonzero(area >= WHOLE_SHARE * usual)[0]
    area[: full[0]], area[full[-1] + 1 :] = usual, usual
    percent = np.where(whole & (area > 0), 100 * taken / np.maximum(area, 1), 0)
    left = patch.points[..., 0][cement > 0].mean()
    counts = np.bincount(cement.ravel())
    return {
        "by_part": {n: int(c) for n, c in enumerate(counts) if n and c},
        "ml": round(float(counts[1:].sum() * site.lattice.voxel_mm3 / 1000), 6),
        "side": _side(float(left)),
        "max_percent": round(float(percent.max()), 3),
        "at_slice": int(percent.argmax()),
        "per_slice": {str(k): round(float(p), 3) for k, p in enumerate(percent) if p > 0},
    }
