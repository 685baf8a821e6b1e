"""All twelve benchmarks by number, coarse or fine."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kypho.cement.validation import bench, exact
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
    1: (lambda: bench.leak_bench(2.0),),
    2: (lambda: bench.thermal_leak(1.5),),
    3: (
        lambda: exact.sphere((2.0, 1.5)),
        lambda: exact.cylinder(),
        lambda: exact.power_law(1.0),
        lambda: exact.buckley_leverett((50, 100, 200)),
    ),
    4: (lambda: bench.shear_in_bone(1.5),),
    5: (bench.cannula_pressures,),
    6: (exact.kinetics_table, lambda: exact.conduction((3.0, 2.0)), lambda: bench.mantle(1.0, "B")),
    7: (lambda: exact.anisotropy(1.5),),
    8: (lambda: exact.marrow_criterion(1.0),),
    9: (lambda: bench.canal_heat(2.0),),
    10: (lambda: bench.clinic(8),),
    11: (lambda: exact.spreading(1.5),),
    12: (exact.dose,),
}
_FINE: dict[int, tuple[Callable[[], list[Check]], ...]] = {
    **_COARSE,
    1: (lambda: bench.leak_bench(1.5),),
    2: (lambda: bench.thermal_leak(1.0),),
    3: (
        lambda: exact.sphere((1.5, 1.0, 0.75)),
        lambda: exact.cylinder((1.0, 0.5, 0.25)),
        lambda: exact.power_law(0.75),
        lambda: exact.buckley_leverett((50, 100, 200, 400)),
    ),
    6: (exact.kinetics_table, lambda: exact.conduction((1.5, 1.0)), lambda: bench.mantle(0.5)),
    7: (lambda: exact.anisotropy(0.75),),
    8: (lambda: exact.marrow_criterion(0.5),),
    9: (lambda: bench.canal_heat(1.5),),
    10: (lambda: bench.clinic(48),),
    11: (lambda: exact.spreading(1.0),),
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
