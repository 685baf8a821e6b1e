"""Label schemes: which number means which structure, for the label maps in common use.

Numbers collide between schemes (25 is the sacrum, T10 or L6), so kypho works with names only. Names are
levels ("T7"), their parts ("T7_body"), and "sacrum", "spinal_cord", "spinal_canal", "aorta", "lung",
"vena_cava", "rib_left_7", ... in TotalSegmentator's spelling where kypho has no word of its own.

Sources: TotalSegmentator ``map_to_binary.py`` (Wasserthal et al. 2023, doi 10.1148/ryai.230024); VerSe
(Sekuboyina et al. 2021, doi 10.1016/j.media.2021.102166) with the TPTBox extension below L6;
CTSpine1K counts like VerSe; TotalSpineSeg ``tss_map.json`` (Warszawer et al., ISMRM 2024), whose canal
is without the cord.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from kypho.anatomy.labels import LEVELS

__all__ = ["MR_SCHEMES", "SCHEMES", "SUPERIOR_FIRST", "group_ids", "structure_name"]

SUPERIOR_FIRST: tuple[str, ...] = (*LEVELS, "sacrum", "S1", "coccyx")
"""Bones of the spine in head-to-tail order; numbers do not sort (T13 is 28 in VerSe)."""

_DESCENDING = [
    *(f"L{n}" for n in range(5, 0, -1)),
    *(f"T{n}" for n in range(12, 0, -1)),
    *(f"C{n}" for n in range(7, 0, -1)),
]
_RIBS = [f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13)]
_LOBES = ["lung"] * 5


def _both(*names: str) -> list[str]:
    return [f"{name}_{side}" for name in names for side in ("left", "right")]


_TOTALSEGMENTATOR_V2 = [
    *("spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "pancreas"),
    *("adrenal_gland_right", "adrenal_gland_left", *_LOBES, "esophagus", "trachea", "thyroid_gland"),
    *("small_bowel", "duodenum", "colon", "urinary_bladder", "prostate"),
    *("kidney_cyst_left", "kidney_cyst_right", "sacrum", "S1", *_DESCENDING, "heart", "aorta"),
    *("pulmonary_vein", "brachiocephalic_trunk", "subclavian_artery_right", "subclavian_artery_left"),
    *("common_carotid_artery_right", "common_carotid_artery_left"),
    *("brachiocephalic_vein_left", "brachiocephalic_vein_right", "atrial_appendage_left"),
    *("vena_cava", "vena_cava", "portal_vein_and_splenic_vein", *_both("iliac_artery", "iliac_vena")),
    *_both("humerus", "scapula", "clavicula", "femur", "hip"),
    *("spinal_cord", *_both("gluteus_maximus", "gluteus_medius", "gluteus_minimus")),
    *(*_both("autochthon", "iliopsoas"), "brain", "skull", *_RIBS, "sternum", "costal_cartilages"),
]
_TOTALSEGMENTATOR_V1 = [
    *("spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "aorta", "vena_cava"),
    *("portal_vein_and_splenic_vein", "pancreas", "adrenal_gland_right", "adrenal_gland_left", *_LOBES),
    *(*_DESCENDING, "esophagus", "trachea", *["heart"] * 5, "pulmonary_artery", "brain"),
    *(*_both("iliac_artery", "iliac_vena"), "small_bowel", "duodenum", "colon", *_RIBS),
    *(*_both("humerus", "scapula", "clavicula", "femur", "hip"), "sacrum", "face"),
    *_both("gluteus_maximus", "gluteus_medius", "gluteus_minimus", "autochthon", "iliopsoas"),
    "urinary_bladder",
]
_VERSE = {
    **{n: level for n, level in enumerate([lv for lv in LEVELS if lv not in ("T13", "L6")], start=1)},
    **{25: "L6", 26: "sacrum", 27: "coccyx", 28: "T13"},
}
_TOTALSPINESEG = {
    **{1: "spinal_cord", 2: "spinal_canal", 50: "sacrum", 100: "disc"},
    **{10 + n: f"C{n}" for n in range(1, 8)},
    **{20 + n: f"T{n}" for n in range(1, 13)},
    **{40 + n: f"L{n}" for n in range(1, 7)},
    **{n: "disc" for n in (*range(63, 68), *range(71, 83), *range(91, 97))},
}


def group_ids(names: Iterable[tuple[int, str]]) -> dict[str, tuple[int, ...]]:
    """Structure name to its label numbers, from (number, name) pairs; names are made canonical.

    A level given only as parts ("T7_body", "T7_arch") also gets an entry of its own, the union of them.
    """
    ids: dict[str, tuple[int, ...]] = {}
    for number, raw in names:
        name = structure_name(raw)
        level = name.split("_", 1)[0]
        for key in (name, level) if level in LEVELS and level != name else (name,):
            ids[key] = (*ids.get(key, ()), number)
    return {name: tuple(sorted(set(numbers))) for name, numbers in ids.items()}


def _numbered(names: list[str]) -> Mapping[str, tuple[int, ...]]:
    return group_ids(enumerate(names, start=1))


_GROUPS = (
    (re.compile(r"lungs?(_(upper|middle|lower)_lobe)?(_(left|right))?"), "lung"),
    (re.compile(r"(superior|inferior)_vena_cava"), "vena_cava"),
    (re.compile(r"heart_(myocardium|atrium_left|atrium_right|ventricle_left|ventricle_right)"), "heart"),
    (re.compile(r"skin|body_trunc|body_extremities"), "body"),
    (re.compile(r"(vertebral|spinal)_canal"), "spinal_canal"),
    (re.compile(r"(spinal_?)?cord"), "spinal_cord"),
    (re.compile(r"oesophagus"), "esophagus"),
    (
        re.compile(r"(vertebral_)?(bod(y|ies)|corpus)_of_vertebrae?|vertebral_bod(y|ies)|corpus"),
        "vertebral_body",
    ),
)
_REGIONS = {"c": "C", "t": "T", "l": "L", "cervical": "C", "thoracic": "T", "lumbar": "L"}
_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
    *("eleventh", "twelfth", "thirteenth"),
)
_LEVEL = re.compile(r"(?:vertebrae?_)?([ctl])_?(\d{1,2})(?:_vertebra)?(?:_(\w+))?")
_DISC = re.compile(r"(^|_)(discs?|disks?|ivds?)(_|$)")
"""A disc is named after a level but is no part of its bone."""
_SPELLED = re.compile(rf"({'|'.join(_ORDINALS)})_(cervical|thoracic|lumbar)_vertebra")


def structure_name(raw: str) -> str:
    """kypho's name of a structure: "vertebrae_T7", "T7 vertebra" and "t7" are all "T7".

    A name that kypho does not know is kept, in lower case with underscores.
    """
    key = re.sub(r"[\s\-]+", "_", raw.strip()).lower()
    if _DISC.search(key):
        return "disc"
    spelled = _SPELLED.fullmatch(key)
    if spelled:
        return f"{_REGIONS[spelled[2]]}{_ORDINALS.index(spelled[1]) + 1}"
    level = _LEVEL.fullmatch(key)
    if level:
        name = f"{_REGIONS[level[1]]}{int(level[2])}"
        if name in LEVELS:
            return f"{name}_{level[3]}" if level[3] else name
    if key in ("s1", "vertebrae_s1"):
        return "S1"
    for pattern, group in _GROUPS:
        if pattern.fullmatch(key):
            return group
    return key


SCHEMES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "totalsegmentator": _numbered(_TOTALSEGMENTATOR_V2),
    "totalsegmentator-v1": _numbered(_TOTALSEGMENTATOR_V1),
    "verse": group_ids(_VERSE.items()),
    "totalspineseg": group_ids(_TOTALSPINESEG.items()),
}
"""Scheme name to structure name to label numbers. "totalsegmentator" is version 2, task ``total``."""

MR_SCHEMES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "vertebrae-mr": group_ids(enumerate(["sacrum", *_DESCENDING], start=1)),
    "totalspineseg": SCHEMES["totalspineseg"],
    "total-mr": group_ids({18: "sacrum", 19: "vertebrae", 20: "disc", 21: "spinal_cord"}.items()),
    "spineps": group_ids({49: "vertebral_body", 60: "spinal_cord", 61: "spinal_canal"}.items()),
    "plain": group_ids({1: "spinal_cord", 2: "spinal_canal", 3: "vertebral_body"}.items()),
}
"""As `SCHEMES`, for label maps made on MR: TotalSegmentator's tasks ``vertebrae_mr`` and ``total_mr``,
TotalSpineSeg, the semantic mask of SPINEPS (Möller et al. 2024,
arXiv 2402.16368), and three numbers. The last three name no levels."""
