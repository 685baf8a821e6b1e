"""`__all__` in every module lists exactly its public names. (Its order is ruff's rule RUF022.)"""

import ast
import importlib

import pytest
from source_tree import modules


def _declared(tree):
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in node.targets):
            return ast.literal_eval(node.value)
    return None


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.name)
def test_all_is_exact(module):
    declared = _declared(module.tree)
    assert declared is not None or not _public_definitions(module), f"{module.where} has no __all__"
    declared = declared or []
    assert len(declared) == len(set(declared)), f"{module.where}: a name stands twice in __all__"
    loaded = importlib.import_module(module.name)
    missing = [name for name in declared if not hasattr(loaded, name)]
    assert not missing, f"{module.where}: __all__ names what is not there: {missing}"
    hidden = _public_definitions(module) - set(declared)
    assert not hidden, f"{module.where}: public but not in __all__ (export it or start it with _): {hidden}"


def _public_definitions(module):
    return {
        node.name
        for node in module.tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not any(_registers(decorator) for decorator in node.decorator_list)
    }


def _registers(decorator):
    """True for `@app.command(...)` and the like: such a function is reached by its command, not its name."""
    return "command" in ast.unparse(decorator).split("(")[0]
