"""Write docs/results/cement.md: the table of `kypho validate cement`.

    python docs/results/make_cement.py [--fine]
"""

import sys
from pathlib import Path

from kypho import __version__
from kypho.cement.validation import BENCHMARKS, run_benchmarks

HERE = Path(__file__).parent


def page(fine: bool) -> str:
    rows = run_benchmarks(fine=fine)
    failed = [row for row in rows if not row.passed]
    lines = [
        "# Cement: the twelve benchmarks",
        "",
        f"Written by `docs/results/make_cement.py{' --fine' if fine else ''}`, kypho {__version__}; the same table as",
        f"`kypho validate cement{' --fine' if fine else ''}`. No data but the evidence records. *exact* rows have a formula,",
        "*own* rows a reference computed independently, *bench* rows a published experiment. Nothing is tuned to",
        "any row; the one calibration (benchmark 1, first group) is named there. Geometry that a paper's",
        "abstract does not give is assumed and said so.",
        "",
        f"{len(rows) - len(failed)} of {len(rows)} rows pass. Failed exact rows: "
        f"{sum(row.kind == 'exact' for row in failed)}.",
    ]
    for number, name in BENCHMARKS.items():
        lines += ["", f"## {number}. {name}", "", "| quantity | expected | found | kind | verdict | note |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        for row in (r for r in rows if r.benchmark == number):
            verdict = "pass" if row.passed else "**FAIL**"
            lines.append(f"| {row.quantity} | {row.target} | {row.measured:.4g} | {row.kind} | {verdict} | {row.note} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (HERE / "cement.md").write_text(page("--fine" in sys.argv), encoding="utf-8")
