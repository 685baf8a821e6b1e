"""What a virtual fracture is made of. Places are fractions of the body, so that one spec fits every level.

Along the width -1 is the right edge of the body and +1 the left, along the depth -1 is the anterior edge
and +1 the posterior wall, along the height -1 is the inferior endplate and +1 the superior one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from kypho.errors import SettingsError

__all__ = [
    "Cleft",
    "Collapse",
    "FractureSpec",
    "Lesion",
    "PedicleBreach",
    "Retropulsion",
    "SchmorlNode",
    "WallDefect",
    "random_spec",
    "require_slice",
]

LARGEST_LOSS = 0.7
"""Height loss beyond which the map would fold in front of the body."""

LARGEST_HOLE_MM2, LARGEST_PUSH_MM, LARGEST_CLEFT_ML, LARGEST_RADIUS_MM = 400.0, 10.0, 6.0, 15.0
"""Beyond these the damage no longer fits one vertebra."""

LARGEST_SHIFT_HU = 1000.0
"""Beyond this the bone's own CT numbers no longer matter."""

THINNEST_MM, THICKEST_MM = 0.3, 10.0
"""Slices of a spine CT."""

Kind = Literal["wedge", "biconcave", "crush"]
WallName = Literal["posterior", "anterior", "left", "right"]
Content = Literal["gas", "fluid"]
KINDS: tuple[Kind, ...] = ("wedge", "biconcave", "crush")
WALLS: tuple[WallName, ...] = ("posterior", "anterior", "left", "right")
CONTENTS: tuple[Content, ...] = ("gas", "fluid")
THIRDS = {"lower": -0.6, "middle": 0.0, "upper": 0.6}


def _require_size(what: str, size: float, largest: float, unit: str) -> None:
    """Raise SettingsError unless ``0 < size <= largest``."""
    if not 0 < size <= largest:
        raise SettingsError(
            f"{what} must be above 0 and at most {largest:g} {unit}, got {size:g}; correct it"
        )


def _require_place(**place: float) -> None:
    """Raise SettingsError unless every coordinate lies on the body, from -1 to 1."""
    for name, at in place.items():
        if not -1 <= at <= 1:
            raise SettingsError(f"{name!r} is a place from -1 to 1 of the body, got {at:g}; correct it")


def _require_seed(seed: int) -> None:
    """Raise SettingsError unless this can seed the random numbers."""
    if seed < 0:
        raise SettingsError(f"seed {seed} is negative; give 0 or more")


def require_slice(slice_mm: float | None) -> None:
    """Raise SettingsError unless this is a slice thickness that a CT can have; None stands for the CT's."""
    if slice_mm is not None and not THINNEST_MM <= slice_mm <= THICKEST_MM:
        raise SettingsError(
            f"slices must be {THINNEST_MM:g} to {THICKEST_MM:g} mm thick, got {slice_mm:g}; correct it"
        )


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """Height loss as a fraction of the intact height.

    wedge: at the anterior edge, none at the posterior wall. biconcave: in the middle, none at the rim.
    crush: everywhere.
    """

    kind: Kind
    loss: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"collapse must be wedge, biconcave or crush, got {self.kind!r}")
        if not 0 <= self.loss <= LARGEST_LOSS:
            raise SettingsError(
                f"a collapse takes 0 to {100 * LARGEST_LOSS:g} % of the height, got {100 * self.loss:g} %; "
                "correct it"
            )


@dataclass(frozen=True, kw_only=True)
class WallDefect:
    """A round hole in a cortical wall; `across` and `up` are its place on the wall, -1 to 1."""

    wall: WallName
    area_mm2: float
    across: float = 0.0
    up: float = 0.0

    def __post_init__(self) -> None:
        if self.wall not in WALLS:
            raise SettingsError(f"wall must be one of {', '.join(WALLS)}, got {self.wall!r}")
        _require_size("the area of a wall defect", self.area_mm2, LARGEST_HOLE_MM2, "mm2")
        _require_place(across=self.across, up=self.up)


@dataclass(frozen=True, kw_only=True)
class Retropulsion:
    """The posterior wall pushed into the canal by `depth_mm` at its peak, at height `up`."""

    depth_mm: float
    up: float = 0.4

    def __post_init__(self) -> None:
        _require_size("retropulsion", self.depth_mm, LARGEST_PUSH_MM, "mm")
        _require_place(up=self.up)


@dataclass(frozen=True, kw_only=True)
class SchmorlNode:
    """A pit in an endplate, filled with disc."""

    endplate: Literal["superior", "inferior"]
    depth_mm: float
    area_mm2: float
    across: float = 0.0
    along: float = 0.0

    def __post_init__(self) -> None:
        if self.endplate not in ("superior", "inferior"):
            raise SettingsError(f"endplate must be superior or inferior, got {self.endplate!r}")
        _require_size("the depth of a Schmorl node", self.depth_mm, LARGEST_PUSH_MM, "mm")
        _require_size("the area of a Schmorl node", self.area_mm2, LARGEST_HOLE_MM2, "mm2")
        _require_place(across=self.across, along=self.along)


@dataclass(frozen=True, kw_only=True)
class Cleft:
    """A flat cavity in the body, filled with gas or fluid."""

    content: Content
    volume_ml: float
    along: float = -0.35
    up: float = 0.3

    def __post_init__(self) -> None:
        if self.content not in CONTENTS:
            raise SettingsError(f"a cleft holds gas or fluid, got {self.content!r}")
        _require_size("the volume of a cleft", self.volume_ml, LARGEST_CLEFT_ML, "mL")
        _require_place(along=self.along, up=self.up)


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """A lytic ball in the body."""

    radius_mm: float
    across: float = 0.0
    along: float = 0.0
    up: float = 0.0

    def __post_init__(self) -> None:
        _require_size("the radius of a lesion", self.radius_mm, LARGEST_RADIUS_MM, "mm")
        _require_place(across=self.across, along=self.along, up=self.up)


@dataclass(frozen=True, kw_only=True)
class PedicleBreach:
    """The medial wall of a pedicle opened by a needle that passed too close to the canal."""

    side: Literal["left", "right"]
    needle_radius_mm: float = 2.1

    def __post_init__(self) -> None:
        if self.side not in ("left", "right"):
            raise SettingsError(f"a pedicle is left or right, got {self.side!r}")
        _require_size("the radius of a needle", self.needle_radius_mm, LARGEST_PUSH_MM, "mm")


@dataclass(frozen=True, kw_only=True)
class FractureSpec:
    """Any combination of damage to one vertebra.

    Attributes:
        density_drop_hu: taken off the cancellous bone (osteoporosis).
        sclerosis_hu: added to the cancellous bone of the upper half.
        seed: of the texture painted into the cavities.
    """

    collapse: Collapse | None = None
    walls: tuple[WallDefect, ...] = ()
    retropulsion: Retropulsion | None = None
    schmorl: SchmorlNode | None = None
    cleft: Cleft | None = None
    lesion: Lesion | None = None
    breach: PedicleBreach | None = None
    density_drop_hu: float = 0.0
    sclerosis_hu: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for what, shift in (("density drop", self.density_drop_hu), ("sclerosis", self.sclerosis_hu)):
            if not -LARGEST_SHIFT_HU <= shift <= LARGEST_SHIFT_HU:
                raise SettingsError(
                    f"{what} must be at most {LARGEST_SHIFT_HU:g} HU either way, got {shift:g}; correct it"
                )
        _require_seed(self.seed)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def random_spec(seed: int) -> FractureSpec:
    """A seeded combination as validation needs them: each damage is there about half of the time."""
    _require_seed(seed)
    random = np.random.default_rng(seed)
    kind = KINDS[random.choice(3)]
    collapse = Collapse(kind=kind, loss=float(random.uniform(0.05, 0.55))) if random.random() < 0.85 else None
    walls: list[WallDefect] = []
    if random.random() < 0.5:
        third = random.choice(list(THIRDS))
        walls.append(
            WallDefect(
                wall="posterior",
                area_mm2=float(random.uniform(20, 70)),
                across=float(random.uniform(-0.4, 0.4)),
                up=THIRDS[third] * 0.8,
            )
        )
    if random.random() < 0.25:
        side = WALLS[1:][random.choice(3)]
        walls.append(WallDefect(wall=side, area_mm2=float(random.uniform(25, 80)), across=-0.1, up=0.0))
    return FractureSpec(
        collapse=collapse,
        walls=tuple(walls),
        retropulsion=Retropulsion(depth_mm=float(random.uniform(1.5, 5))) if random.random() < 0.4 else None,
        cleft=Cleft(content=CONTENTS[random.choice(2)], volume_ml=float(random.uniform(0.3, 1.5)))
        if random.random() < 0.5
        else None,
        density_drop_hu=float(random.uniform(0, 110)) if random.random() < 0.5 else 0.0,
        seed=seed,
    )
