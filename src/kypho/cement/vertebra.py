"""The bone field of a real vertebra: what its anatomy means for cement.

Inside the bone, CT numbers give porosity and permeability; a shell under the surface is closed except
where it is destroyed, where veins pierce it and where a needle went through. Outside lie the spaces that
cement can leak into, each with its permeability, pressure and draining vessels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from edt import edt
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, maximum_filter

from kypho.anatomy import BODY, LEFT_PEDICLE, RIGHT_PEDICLE, Vertebra
from kypho.cement.bone import BoneField, bone_volume_fraction, drain_of, permeability
from kypho.cement.compartments import CODES, compartment
from kypho.cement.scene import CellScene, scene_of
from kypho.cement.surroundings import basivertebral, segmental_veins, surroundings
from kypho.cement.tracks import Track, drill
from kypho.errors import NotFiniteError
from kypho.evidence import value
from kypho.space import Volume

__all__ = ["Track", "vertebra_field"]

SITE_CENTRE_MM = 3.0  # numerics: radius of the ball in the middle of the body
SITE_CORTEX_MM = 2.0  # numerics: depth of the cortex that is watched; it names a place, no limit
SITE_DURA_MM = 2.0  # numerics: depth of the outer layer of the sac that is watched
SITE_ROOT_MM = 4.0  # numerics: how far from the wall of the canal a root is watched in its foramen


def vertebra_field(
    vertebra: Vertebra,
    *,
    grid_mm: float = 0.75,  # numerics: three cells across the epidural space
    tracks: tuple[Track, ...] = (),
    defects: Volume | None = None,
    cleft: Volume | None = None,
) -> BoneField:
    """Build the field.

    1. Bone: porosity and anisotropic permeability from smoothed CT numbers.
    2. Shell: cortex and endplates, open where all of the shell is below the record's CT number or
       `defects` says so. A cleft is a void.
    3. Basivertebral foramen at the back of the body, a segmental vein on either side.
    4. Canal (epidural, dura, intradural, cord), foramina, discs, paravertebral tissue.
    5. Needle tracks, and breaches where they pass the wall of the canal.

    Args:
        vertebra: the anatomy.
        grid_mm: cell size.
        tracks: cannulas in place.
        defects: holes of the cortex that the assessment found, any grid, true where there is one.
        cleft: gas or fluid inside the body, likewise.

    Raises:
        NotFiniteError: NaN or infinity in the CT.
    """
    if not np.all(np.isfinite(vertebra.hu.array)):
        raise NotFiniteError("the CT holds NaN or infinity; convert it again from the original")
    scene = scene_of(vertebra, grid_mm)
    region = surroundings(scene)
    bone = scene.depth > 0
    shell = _shell(scene, bone)
    body = scene.part == BODY
    region[bone] = CODES["posterior_elements"]
    region[bone & (body | np.isin(scene.part, (LEFT_PEDICLE, RIGHT_PEDICLE)))] = CODES["cancellous"]
    region[shell] = CODES["cortex"]
    region[shell & body & _at_endplate(scene)] = CODES["endplate"]
    holes = shell & _destroyed(scene, shell, defects)
    region[holes] = CODES["breach"]
    region[basivertebral(scene) & bone & body] = CODES["basivertebral"]
    veins, vein_share = segmental_veins(scene, bone)
    region[veins] = CODES["venous"]
    if cleft is not None:
        region[scene.mask_of(cleft) & np.isin(region, (CODES["cancellous"], CODES["basivertebral"]))] = CODES[
            "cleft"
        ]
    for track in tracks:
        drill(scene, region, bone, shell, track)
    field = _materials(scene, region, vein_share)
    return replace(field, sites=_sites(scene, region))


def _shell(scene: CellScene, bone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The layer of bone cells under the surface, tight along faces at any cell size."""
    thick = max(value("cement.shell_mm"), 1.2 * scene.spacing_mm)
    return np.asarray(bone & ((scene.depth < thick) | binary_dilation(~bone)))


def _at_endplate(scene: CellScene) -> NDArray[np.bool_]:
    upper, lower = scene.vertebra.superior.z_mm(scene.xy), scene.vertebra.inferior.z_mm(scene.xy)
    return np.asarray((scene.z > upper - 3.0) | (scene.z < lower + 3.0))


def _destroyed(scene: CellScene, shell: NDArray[np.bool_], defects: Volume | None) -> NDArray[np.bool_]:
    """Shell cells around which no cell of the shell is as dense as cortex or sound cancellous bone."""
    size = 2 * max(round(1.5 / scene.spacing_mm), 1) + 1
    densest = maximum_filter(np.where(scene.depth > -1.0, scene.hu, -1000.0), size=size)
    broken = shell & (densest < value("cement.shell_defect_hu"))
    if defects is not None:
        broken |= shell & scene.mask_of(defects)
    return broken


def _materials(scene: CellScene, region: NDArray[np.uint8], vein_share: float) -> BoneField:
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
    for name, key in (("channel", "breach"), ("cleft", "cleft")):
        at = region == CODES[name]
        k[:, at], porosity[at] = value(f"cement.{key}_permeability_m2"), 1.0
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


def _sites(scene: CellScene, region: NDArray[np.uint8]) -> dict[str, NDArray[np.bool_]]:
    """Where the temperature is watched: names as in rehearsal.json, the places cut by `SITE_*`.

    The dura's site is the layer of its sac beside the epidural space; a root's, the foramen beside the canal.
    A place that this vertebra's box does not hold is left out.
    """
    low, high = scene.vertebra.body_box_mm
    middle_z = np.abs(scene.z - (low[2] + high[2]) / 2) < (high[2] - low[2]) / 2
    spacing = (scene.spacing_mm,) * 3
    canal = scene.inside > 0
    to_canal = edt(~canal, anisotropy=spacing) if canal.any() else np.full(region.shape, np.inf)
    centre = (scene.x**2 + scene.y**2 + scene.z**2 < SITE_CENTRE_MM**2) & (scene.depth > 0)
    sites = {
        "body_centre": centre,
        "posterior_cortex": (scene.part == BODY) & (to_canal < SITE_CORTEX_MM) & middle_z,
        "dura": np.isin(region, (CODES["dura"], CODES["canal_intradural"]))
        & (scene.inside < value("cement.dura_inset_mm") + SITE_DURA_MM)
        & middle_z,
        "cord": (region == CODES["cord"]) & middle_z,
        "root_left": (region == CODES["foramen_left"]) & (to_canal < SITE_ROOT_MM),
        "root_right": (region == CODES["foramen_right"]) & (to_canal < SITE_ROOT_MM),
        "anterior_cortex": (scene.part == BODY)
        & (scene.y < low[1] + SITE_CORTEX_MM)
        & (scene.depth < SITE_CORTEX_MM),
    }
    return {name: np.asarray(mask) for name, mask in sites.items() if mask.any()}
