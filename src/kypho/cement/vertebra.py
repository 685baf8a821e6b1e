"""The bone field of a real vertebra: what its anatomy means for cement.

Inside the bone, CT numbers give porosity and permeability; a shell under the surface is closed except
where it is destroyed, where veins pierce it and where a needle went through. Outside lie the spaces that
cement can leak into, each with its permeability, pressure and draining vessels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from edt import edt
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, maximum_filter

from kypho.anatomy import BODY, CANAL, LEFT_PEDICLE, RIGHT_PEDICLE, Vertebra
from kypho.cement.bone import BoneField, bone_volume_fraction, drain_of, permeability
from kypho.cement.compartments import CODES, compartment
from kypho.errors import NotFiniteError
from kypho.evidence import value
from kypho.space import Grid, Volume, resample

__all__ = ["Track", "vertebra_field"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """The way of a cannula through the bone.

    Attributes:
        entry_mm, tip_mm: LPS points.
        radius_mm: outer radius of the cannula.
    """

    entry_mm: NDArray[np.float64]
    tip_mm: NDArray[np.float64]
    radius_mm: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scene:
    """The vertebra on the field's grid.

    `x`, `y`, `z` are local left, posterior, superior coordinates that broadcast to the grid; `depth` is the
    distance under the bone's surface (negative outside); `inside` that from the canal's wall.
    """

    vertebra: Vertebra
    grid: Grid
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    hu: NDArray[np.float32]
    part: NDArray[np.uint8]
    depth: NDArray[np.float32]
    inside: NDArray[np.float32]

    @property
    def spacing_mm(self) -> float:
        return self.grid.spacing_mm[0]


def vertebra_field(
    vertebra: Vertebra,
    *,
    grid_mm: float = 0.75,  # numerics: three cells across the epidural space
    tracks: tuple[Track, ...] = (),
    defects: Volume | None = None,
) -> BoneField:
    """Build the field.

    1. Bone: porosity and anisotropic permeability from smoothed CT numbers.
    2. Shell: cortex and endplates, open where all of the shell is below the record's CT number or
       `defects` says so.
    3. Basivertebral foramen at the back of the body, a segmental vein on either side.
    4. Canal (epidural, dura, intradural, cord), foramina, discs, paravertebral tissue.
    5. Needle tracks, and breaches where they pass the wall of the canal.

    Args:
        vertebra: the anatomy.
        grid_mm: cell size.
        tracks: cannulas in place.
        defects: cortical defects found elsewhere, any grid, true where there is one.

    Raises:
        NotFiniteError: NaN or infinity in the CT.
    """
    if not np.all(np.isfinite(vertebra.hu.array)):
        raise NotFiniteError("the CT holds NaN or infinity; convert it again from the original")
    scene = _scene(vertebra, grid_mm)
    region = _outside(scene)
    bone = scene.depth > 0
    shell = _shell(scene, bone)
    body = scene.part == BODY
    region[bone] = CODES["posterior_elements"]
    region[bone & (body | np.isin(scene.part, (LEFT_PEDICLE, RIGHT_PEDICLE)))] = CODES["cancellous"]
    region[shell] = CODES["cortex"]
    region[shell & body & _at_endplate(scene)] = CODES["endplate"]
    holes = shell & _destroyed(scene, shell, defects)
    region[holes] = CODES["breach"]
    region[_basivertebral(scene) & bone & body] = CODES["basivertebral"]
    veins, vein_share = _segmental_veins(scene, bone)
    region[veins] = CODES["venous"]
    for track in tracks:
        _drill(scene, region, bone, shell, track)
    field = _materials(scene, region, vein_share)
    return replace(field, sites=_sites(scene, region))


def _scene(vertebra: Vertebra, grid_mm: float) -> _Scene:
    grid = _box(vertebra, grid_mm)
    first = vertebra.frame.to_local(grid.origin_mm)
    x, y, z = (first[n] + np.arange(grid.shape[2 - n]) * grid_mm for n in range(3))
    part = np.asarray(resample(vertebra.regions, grid).array).astype(np.uint8)
    return _Scene(
        vertebra=vertebra,
        grid=grid,
        x=x[None, None, :],
        y=y[None, :, None],
        z=z[:, None, None],
        hu=np.asarray(resample(vertebra.hu, grid, outside=0.0).array),
        part=part,
        depth=np.asarray(resample(vertebra.bone_mm, grid, outside=-99.0).array),  # numerics: far outside
        inside=np.asarray(resample(vertebra.canal_mm, grid, outside=-99.0).array),  # numerics: far outside
    )


def _box(vertebra: Vertebra, grid_mm: float) -> Grid:
    """The body, pedicles and canal with their margins, cells on multiples of the cell size."""
    low, high = vertebra.body_box_mm
    side, front, behind, ends = value("cement.field_margin_mm")
    canal = vertebra.local_points(CANAL)
    middle = float(np.median(canal[:, 1])) if len(canal) else float(high[1])
    lower = np.array([low[0] - side, low[1] - front, low[2] - ends])
    upper = np.array([high[0] + side, middle + behind, high[2] + ends])
    first, last = np.floor(lower / grid_mm).astype(int), np.ceil(upper / grid_mm).astype(int)
    n = last - first + 1
    return Grid(
        shape=(int(n[2]), int(n[1]), int(n[0])),
        spacing_mm=(grid_mm,) * 3,
        origin_mm=vertebra.frame.to_world(first * grid_mm),
        axes=vertebra.frame.rotation[:, ::-1],
    )


def _outside(scene: _Scene) -> NDArray[np.uint8]:
    """Regions of everything that is not this vertebra's bone."""
    region = np.full(scene.grid.shape, CODES["paravertebral"], np.uint8)
    xy = _xy(scene)
    upper, lower = scene.vertebra.superior.z_mm(xy), scene.vertebra.inferior.z_mm(xy)
    outline = (scene.part == BODY).any(axis=0)[None]
    region[np.broadcast_to(outline & (scene.z > upper - 3.0), region.shape)] = CODES["disc_above"]
    region[np.broadcast_to(outline & (scene.z < lower + 3.0), region.shape)] = CODES["disc_below"]
    canal = scene.inside > 0
    cells = np.argwhere(canal)
    if len(cells):
        y_range = scene.y.ravel()[cells[:, 1]]
        beside = (scene.y > y_range.min()) & (scene.y < np.quantile(y_range, 0.6)) & ~canal
        near = np.abs(scene.x) < np.abs(scene.x.ravel()[cells[:, 2]]).max() + 8.0
        region[np.broadcast_to(beside & near & (scene.x > 0), region.shape) & (scene.depth <= 0)] = CODES[
            "foramen_left"
        ]
        region[np.broadcast_to(beside & near & (scene.x < 0), region.shape) & (scene.depth <= 0)] = CODES[
            "foramen_right"
        ]
    region[canal] = CODES["canal_epidural"]
    inset = value("cement.dura_inset_mm")
    if canal.any() and scene.inside.max() > value("cement.dura_least_mm"):
        region[scene.inside > inset] = CODES["dura"]
        region[scene.inside > inset + 1.5 * scene.spacing_mm] = CODES["canal_intradural"]
        region[_cord(scene)] = CODES["cord"]
    other = (scene.hu > value("cement.hu_bone") * value("cement.cortex_bvtv") / 2) & (scene.depth < -1)
    region[other & (region == CODES["paravertebral"])] = CODES["bone_other"]
    return region


def _xy(scene: _Scene) -> NDArray[np.float64]:
    return np.stack(np.broadcast_arrays(scene.x[0], scene.y[0]), axis=-1)


def _cord(scene: _Scene) -> NDArray[np.bool_]:
    """Cells within the cord's radius of the canal's middle, slice by slice."""
    deep = scene.inside > 0.75 * scene.inside.max()
    out = np.zeros(scene.grid.shape, bool)
    radius = value("cement.cord_radius_mm")
    y, x = np.broadcast_arrays(scene.y[0], scene.x[0])
    for k in np.nonzero(deep.any(axis=(1, 2)))[0]:
        cy, cx = y[deep[k]].mean(), x[deep[k]].mean()
        out[k] = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
    least = value("cement.dura_inset_mm") + 1.5 * scene.spacing_mm
    return np.asarray(out & (scene.inside > least))


def _shell(scene: _Scene, bone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The layer of bone cells under the surface, tight along faces at any cell size."""
    thick = max(value("cement.shell_mm"), 1.2 * scene.spacing_mm)
    return np.asarray(bone & ((scene.depth < thick) | binary_dilation(~bone)))


def _at_endplate(scene: _Scene) -> NDArray[np.bool_]:
    xy = _xy(scene)
    upper, lower = scene.vertebra.superior.z_mm(xy), scene.vertebra.inferior.z_mm(xy)
    return np.asarray((scene.z > upper - 3.0) | (scene.z < lower + 3.0))


def _destroyed(scene: _Scene, shell: NDArray[np.bool_], defects: Volume | None) -> NDArray[np.bool_]:
    """Shell cells around which no cell of the shell is as dense as cortex or sound cancellous bone."""

    size = 2 * max(round(1.5 / scene.spacing_mm), 1) + 1
    densest = maximum_filter(np.where(scene.depth > -1.0, scene.hu, -1000.0), size=size)
    broken = shell & (densest < value("cement.shell_defect_hu"))
    if defects is not None:
        given = Volume(array=np.asarray(defects.array, dtype=np.uint8), grid=defects.grid, unit="label")
        broken |= shell & np.asarray(resample(given, scene.grid).array).astype(bool)
    return broken


def _basivertebral(scene: _Scene) -> NDArray[np.bool_]:
    """A tapering cleft from the middle of the posterior wall forwards, sized by the body."""
    low, high = scene.vertebra.body_box_mm
    width, depth, height = np.asarray(value("cement.basivertebral_fraction")) * (high - low)
    middle = (low[2] + high[2]) / 2
    wall = scene.vertebra.wall.y_mm(scene.z)
    into = wall - scene.y
    taper = np.clip(1 - into / depth, 0, 1)
    across = (scene.x / (width / 2)) ** 2 + ((scene.z - middle) / (height / 2)) ** 2
    return np.asarray((into > -2.5) & (into < depth) & (across < taper**2 + 1e-9))


def _segmental_veins(scene: _Scene, bone: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], float]:
    """A straight vein through the lateral cortex on either side at mid-height, and its share of a cell."""
    diameter, length = value("cement.segmental_vein_diameter_mm"), value("cement.vein_length_mm")
    low, high = scene.vertebra.body_box_mm
    z, y = (low[2] + high[2]) / 2, low[1] + 0.4 * (high[1] - low[1])
    k = int(np.argmin(np.abs(scene.z.ravel() - z)))
    j = int(np.argmin(np.abs(scene.y.ravel() - y)))
    veins = np.zeros(scene.grid.shape, bool)
    row = bone[k, j]
    hits = np.nonzero(row)[0]
    reach = round(length / scene.spacing_mm)
    inward = round(2.0 * value("cement.shell_mm") / scene.spacing_mm) + 1
    if len(hits):
        veins[k, j, max(hits[0] - reach, 0) : hits[0] + inward] = True
        veins[k, j, hits[-1] - inward + 1 : hits[-1] + reach + 1] = True
    return veins, min(np.pi * diameter**2 / 4 / scene.spacing_mm**2, 1.0)


def _drill(
    scene: _Scene, region: NDArray[np.uint8], bone: NDArray[np.bool_], shell: NDArray[np.bool_], track: Track
) -> None:
    """Mark a cannula, the crushed ring along it, and a breach wherever it opens the wall of the canal."""
    local = scene.vertebra.frame.to_local
    entry, tip = local(track.entry_mm), local(track.tip_mm)
    along = tip - entry
    length = float(np.linalg.norm(along))
    along = along / length
    dx, dy, dz = scene.x - entry[0], scene.y - entry[1], scene.z - entry[2]
    t = dx * along[0] + dy * along[1] + dz * along[2]
    off = np.sqrt(np.maximum(dx**2 + dy**2 + dz**2 - t**2, 0))
    reach = max(track.radius_mm + value("cement.track_ring_mm"), 0.8 * scene.spacing_mm)
    near = (off < reach) & (t > -1.0) & (t < length)
    soft = bone & near & (region != CODES["basivertebral"])
    region[soft] = CODES["track"]
    steel = (
        (off < track.radius_mm - 0.25 * scene.spacing_mm) & (t > -1.0) & (t < length - 2 * scene.spacing_mm)
    )
    region[steel & (bone | (scene.inside > 0))] = CODES["cannula"]
    walls = shell & near & binary_dilation(scene.inside > 0, iterations=round(2.0 / scene.spacing_mm))
    in_canal = near & (scene.inside > 0)
    if in_canal.any():
        region[walls & ~steel] = CODES["breach"]
        # The dura that the cannula passes is torn: what lies behind it is no longer closed.
        region[in_canal & (region == CODES["dura"])] = CODES["canal_intradural"]
    elif walls.any() and float(scene.inside[near].max()) > -0.5 * scene.spacing_mm:
        region[walls & ~steel] = CODES["breach"]


def _materials(scene: _Scene, region: NDArray[np.uint8], vein_share: float) -> BoneField:
    """Permeability, porosity, drainage and pressure of every cell from its region."""
    smooth = gaussian_filter(scene.hu, value("cement.hu_smoothing_mm") / scene.spacing_mm)
    bvtv = bone_volume_fraction(smooth)
    lateral = value("cement.permeability_ap_m2") / value("cement.permeability_si_m2")
    base = permeability(bvtv)
    # Dense bone within the body is cancellous to the CT's resolution; cortex is the shell's business.
    k = np.stack([base, base * lateral, base * lateral]).astype(np.float32)
    porosity = (1 - bvtv).astype(np.float32)
    drain = np.zeros(region.shape, np.float32)
    far = np.full(region.shape, compartment("cancellous").pressure_kpa, np.float32)
    spaces = {
        "canal_epidural": "canal_epidural",
        "canal_intradural": "canal_intradural",
        "dura": "dura",
        "cord": "dura",
        "foramen_left": "foramen",
        "foramen_right": "foramen",
        "disc_above": "disc",
        "disc_below": "disc",
        "paravertebral": "paravertebral",
        "venous": "venous",
    }
    for name, kind in spaces.items():
        space, at = compartment(kind), region == CODES[name]
        k[:, at], porosity[at], drain[at], far[at] = (
            space.permeability_m2,
            space.porosity,
            drain_of(space),
            space.pressure_kpa,
        )
    for name, key in (("cortex", "cortex"), ("endplate", "endplate"), ("bone_other", "cortex")):
        k[:, region == CODES[name]] = value(f"cement.{key}_permeability_m2")
    for name in ("track", "breach", "basivertebral"):
        at = region == CODES[name]
        k[:, at] = value(f"cement.{name}_permeability_m2")
        porosity[at] = np.maximum(porosity[at], 0.5)
    at = region == CODES["venous"]
    porosity[at], k[:, at] = vein_share, k[:, at] * vein_share
    at = region == CODES["cannula"]
    k[:, at], porosity[at] = 0.0, 0.0
    at = region == CODES["posterior_elements"]
    k[:, at] *= 0.1  # numerics: laminae are mostly cortex; the pedicles' marrow ends there
    return BoneField(
        grid=scene.grid,
        permeability_m2=np.ascontiguousarray(k, dtype=np.float32),
        porosity=np.clip(porosity, 0, 1).astype(np.float32),
        region=region,
        drain=drain,
        far_kpa=far,
    )


def _sites(scene: _Scene, region: NDArray[np.uint8]) -> dict[str, NDArray[np.bool_]]:
    """Where the temperature is watched."""
    low, high = scene.vertebra.body_box_mm
    middle_z = np.abs(scene.z - (low[2] + high[2]) / 2) < (high[2] - low[2]) / 2
    spacing = (scene.spacing_mm,) * 3
    canal = scene.inside > 0
    to_canal = edt(~canal, anisotropy=spacing) if canal.any() else np.full(region.shape, np.inf)
    centre = (scene.x**2 + scene.y**2 + scene.z**2 < 9.0) & (scene.depth > 0)
    sites = {
        "body_centre": centre,
        "posterior_cortex": (scene.part == BODY) & (to_canal < 2.0) & middle_z,
        "dura": np.isin(region, (CODES["dura"], CODES["canal_intradural"]))
        & (scene.inside < value("cement.dura_inset_mm") + 2.0)
        & middle_z,
        "cord": (region == CODES["cord"]) & middle_z,
        "root_left": (region == CODES["foramen_left"]) & (to_canal < 4.0),
        "root_right": (region == CODES["foramen_right"]) & (to_canal < 4.0),
        "anterior_cortex": (scene.part == BODY) & (scene.y < low[1] + 2.0) & (scene.depth < 2.0),
    }
    return {name: np.asarray(mask) for name, mask in sites.items() if mask.any()}
