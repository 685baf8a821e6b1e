"""A number with a unit comes from evidence/, not from the code.

A name that ends in a unit may not be given a bare number other than 0, or compared with one, unless the line
says why in a comment `# numerics: …` (a tolerance, a grid step: nothing a clinician would ask a source for).
"""

import ast
import re

import pytest
from source_tree import PACKAGE, Module, modules

UNITS = """
    mm mm2 mm3 cm cm2 m m2 m3 ml ml_s ml_min deg hu c k s ms min h d days weeks months percent kv kev
    kpa pa mpa pa_s m_s g_cm3 kg_m3 w_mk j_g j_kgk mg_l mg_dl g_l g_dl mmol_l per_mm per_cm per_m
"""
SUFFIX = re.compile(rf"_(?:{'|'.join(UNITS.split())})$", re.IGNORECASE)
FREE = ("kypho.evidence.", "kypho.phantoms.", "kypho.cement.validation.")
"""Records themselves, and problems with made-up dimensions and a known answer."""
ESCAPE = re.compile(r"#.*\bnumerics: \S")


def _is_number(node):
    """A literal other than 0, or arithmetic or a sequence made only of literals."""
    match node:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float() as number):
            return number != 0
        case ast.UnaryOp(operand=inner):
            return _is_number(inner)
        case ast.BinOp(left=left, right=right):
            return _is_number(left) and _is_number(right)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return any(map(_is_number, parts))
        case ast.Call(func=ast.Name(id="float" | "int"), args=[inner]):
            return _is_number(inner)
    return False


def _assignments(tree):
    """(name, value node) of all that sets a number: assignments, defaults, keywords, comparisons."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                yield from ((_name(t), value) for t in targets)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield _name(target), value
            case ast.keyword(arg=str(arg), value=value):
                yield arg, value
            case ast.arguments(posonlyargs=first, args=plain, defaults=defaults):
                last = [*first, *plain][len(first) + len(plain) - len(defaults) :]
                yield from ((a.arg, d) for a, d in zip(last, defaults, strict=True))
                yield from ((a.arg, d) for a, d in zip(node.kwonlyargs, node.kw_defaults, strict=True) if d)
            case ast.Compare(left=left, comparators=rest):
                sides = [left, *rest]
                yield from ((_name(a), b) for a in sides for b in sides if a is not b)


def _name(target):
    return getattr(target, "id", None) or getattr(target, "attr", "")


def _literals(module):
    lines = module.text.splitlines()
    for name, value in _assignments(module.tree):
        if name and SUFFIX.search(name) and _is_number(value):
            spanned = lines[value.lineno - 1 : value.end_lineno]
            if not any(ESCAPE.search(line) for line in spanned):
                yield f"{module.where}:{value.lineno} {name} = {ast.unparse(value)}"


def test_no_clinical_literal_outside_evidence():
    wrong = [found for m in modules() if not m.name.startswith(FREE) for found in _literals(m)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ("margin_mm = 2.0", True),
        ("MARGIN_MM = -2", True),
        ("margin_mm: float = 2.0", True),
        ("def f(*, margin_mm=1.5): ...", True),
        ("def f(a, margin_mm=1.5): ...", True),
        ("f(margin_mm=1.5)", True),
        ("x.margin_mm = (1, 2)", True),
        ("margin_mm = 3 / 2", True),
        ("margin_mm = 0.0", False),
        ("margin_mm = value('planning.margin_mm')", False),
        ("margin_mm = 2 * radius_mm", False),
        ("margin_mm = 1e-6  # numerics: far below a voxel", False),
        ("margin_mm = 1e-6  # numerics:", True),
        ("margin_mm > 2.0", True),
        ("0 <= x.margin_mm <= 20", True),
        ("margin_mm > 0", False),
        ("margin_mm < limit_mm", False),
        ("count = 3", False),
    ],
)
def test_the_check_sees_what_it_should(line, caught):
    module = Module(name="kypho.x", path=PACKAGE / "x.py", text=line, tree=ast.parse(line))
    assert bool(list(_literals(module))) is caught
