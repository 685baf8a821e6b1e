"""All twelve benchmarks by number, coarse or fine."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kypho.cement.validation import canal_heat, curing, displacement, leaks, pressures, spread
from kypho.cement.validation.check import Check

__all__ = ["BENCHMARKS", "run_benchmarks"]

BENCHMARKS: dict[int, str] = {
    1: "leak bench (Habib 2010)",
    2: "thermal leak (Lai 2011)",
    3: "exact two-fluid displacement",
    4: "shear in the bone (Widmer 2013)",
    5: "cannula pressures (Baroud 2004, 2005)",
    6: "cure, conduction, mantle (Li 2003)",
    7: "permeability and anisotropy (Baroud 2004, Nauman 1999)",
    8: "marrow criterion (Trivedi 2023)",
    9: "canal temperatures (Belkoff 2003, Verlaan 2003, Int Orthop 2012)",
    10: "clinic: viscosity and leaks",
    11: "spreading in foam (Basafa 2013)",
    12: "thermal dose",
}

_COARSE: dict[int, tuple[Callable[[], list[Check]], ...]] = {
    1: (lambda: leaks.leak_bench(2.0),),
    2: (lambda: canal_heat.thermal_leak(1.5),),
    3: (
        lambda: displacement.sphere((2.0, 1.5)),
        lambda: displacement.cylinder(),
        lambda: displacement.power_law(1.0),
        lambda: displacement.buckley_leverett((50, 100, 200)),
    ),
    4: (lambda: pressures.shear_in_bone(1.5),),
    5: (pressures.cannula_pressures,),
    6: (curing.kinetics_table, lambda: curing.conduction((3.0, 2.0)), lambda: curing.mantle(1.0, "B")),
    7: (lambda: spread.anisotropy(1.5),),
    8: (lambda: spread.marrow_criterion(1.0),),
    9: (lambda: canal_heat.canal_heat(2.0),),
    10: (lambda: leaks.clinic(8),),
    11: (lambda: spread.spreading(1.5),),
    12: (curing.dose,),
}
_FINE: dict[int, tuple[Callable[[], list[Check]], ...]] = {
    **_COARSE,
    1: (lambda: leaks.leak_bench(1.5),),
    2: (lambda: canal_heat.thermal_leak(1.0),),
    3: (
        lambda: displacement.sphere((1.5, 1.0, 0.75)),
        lambda: displacement.cylinder((1.0, 0.5, 0.25)),
        lambda: displacement.power_law(0.75),
        lambda: displacement.buckley_leverett((50, 100, 200, 400)),
    ),
    6: (curing.kinetics_table, lambda: curing.conduction((1.5, 1.0)), lambda: curing.mantle(0.5)),
    7: (lambda: spread.anisotropy(0.75),),
    8: (lambda: spread.marrow_criterion(0.5),),
    9: (lambda: canal_heat.canal_heat(1.5),),
    10: (lambda: leaks.clinic(48),),
    11: (lambda: spread.spreading(1.0),),
}


def run_benchmarks(
    numbers: Iterable[int] = tuple(BENCHMARKS),
    *,
    fine: bool = False,
    on_done: Callable[[int], None] | None = None,
) -> list[Check]:
    """Run benchmarks by number.

    Args:
        numbers: which of the twelve.
        fine: finer grids and larger ensembles, minutes instead of seconds.
        on_done: called with each finished number.
    """
    table = _FINE if fine else _COARSE
    rows: list[Check] = []
    for number in numbers:
        for run in table[number]:
            rows += run()
        if on_done is not None:
            on_done(number)
    return rows
