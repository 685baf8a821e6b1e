"""Imports point one way.

cli -> report -> case -> stages -> evidence, formats, phantoms -> space -> errors
"""

import subprocess
import sys

import pytest
from source_tree import imports, module_names, modules

GROUND = {"errors", "space", "evidence"}

ALLOWED = {
    "": set(),
    "errors": set(),
    "space": {"errors"},
    "evidence": {"errors"},
    "anatomy": GROUND,
    "formats": GROUND,
    "phantoms": GROUND,
    "fluoroscopy": GROUND,
    "risk": {"errors", "evidence"},
    "followup": {"errors", "evidence"},
    "fracture": GROUND | {"anatomy"},
    "planning": GROUND | {"anatomy", "fracture"},
    "cement": GROUND | {"anatomy", "planning"},
    "leakage": GROUND | {"anatomy"},
}
STAGES = {"anatomy", "fracture", "planning", "fluoroscopy", "cement", "risk", "leakage", "followup"}
ALLOWED["case"] = GROUND | STAGES | {"formats", "phantoms"}
ALLOWED["report"] = ALLOWED["case"] | {"case"}
ALLOWED["cli"] = ALLOWED["report"] | {"report"}
"""Package -> packages it may import. Anything may read `kypho.__version__`."""

EXCEPTIONS = {
    ("formats", "kypho.anatomy.labels"): "label files become the label volume that anatomy defines",
    ("formats", "kypho.anatomy.schemes"): "label numbers are read by the schemes that anatomy defines",
    ("phantoms", "kypho.anatomy"): "virtual fractures are drawn into a labelled, modelled vertebra",
    ("planning", "kypho.fluoroscopy.carm"): "the AP/lateral rule is judged in C-arm geometry",
    ("cement.validation", "kypho.phantoms.exact_flow"): "the solver is held against exact solutions",
}
"""(importer or its package, imported module) -> why this one edge is allowed."""


def _edges():
    for module in modules():
        for target, line in imports(module):
            parts = target.split(".")
            package = parts[1] if len(parts) > 1 else ""
            if package and package != module.package:
                yield module, package, target, line


def _exception(module, target):
    """The exception that covers an edge, if any: a module, its parent packages, or its package."""
    parts = module.name.split(".")[1:]
    for n in range(len(parts), 0, -1):
        key = (".".join(parts[:n]), target)
        if key in EXCEPTIONS:
            return key
    return None


def test_every_package_is_in_the_table():
    assert {module.package for module in modules()} == set(ALLOWED)


def test_no_import_against_the_direction():
    wrong = [
        f"{module.where}:{line} imports {target}"
        for module, package, target, line in _edges()
        if package not in ALLOWED[module.package] and _exception(module, target) is None
    ]
    assert not wrong, "\n".join(wrong)


def test_no_exception_is_stale():
    needed = {
        _exception(module, target)
        for module, package, target, _ in _edges()
        if package not in ALLOWED[module.package]
    }
    assert set(EXCEPTIONS) == needed - {None}


def test_the_table_has_no_cycle():
    """Without the exceptions the packages form an order; a cycle would make the word 'down' empty."""
    done: set[str] = set()
    while len(done) < len(ALLOWED):
        ready = {name for name, below in ALLOWED.items() if name not in done and below <= done}
        assert ready, f"a cycle among {sorted(set(ALLOWED) - done)}"
        done |= ready


def test_imported_modules_exist():
    known = module_names()
    wrong = [
        f"{m.where}:{line} {target}" for m in modules() for target, line in imports(m) if target not in known
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("kypho.followup", ("SimpleITK", "nibabel", "pydicom", "kypho.anatomy", "kypho.space")),
        ("kypho.risk", ("SimpleITK", "kypho.anatomy", "kypho.space")),
        ("kypho.fluoroscopy", ("kypho.anatomy", "kypho.cement", "kypho.planning")),
        ("kypho.space", ("kypho.anatomy", "kypho.evidence")),
    ],
)
def test_importing_a_stage_loads_nothing_it_should_not_know(module, forbidden):
    """What is loaded at run time, which the static table cannot see through a package's __init__."""
    script = f"import sys, {module}; print([m for m in {forbidden!r} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
