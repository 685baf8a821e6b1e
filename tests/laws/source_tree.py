"""The source tree as the law tests see it: modules, parsed once, with their imports and names."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "kypho"


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    name: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The first name below kypho: 'planning' of 'kypho.planning.walls', '' of 'kypho' itself."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""

    @property
    def where(self) -> str:
        return str(self.path.relative_to(ROOT))


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found.append(Module(name=name, path=path, text=text, tree=ast.parse(text)))
    return tuple(found)


@cache
def module_names() -> frozenset[str]:
    return frozenset(module.name for module in modules())


def imports(module: Module) -> list[tuple[str, int]]:
    """The kypho modules that a module imports, anywhere in it, with line numbers.

    ``from kypho.space import Grid`` counts as kypho.space, ``from kypho import evidence`` as
    kypho.evidence.
    """
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.where}:{node.lineno} relative import; write kypho.…"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.append((inner if inner in module_names() else str(node.module), node.lineno))
    return sorted({(name, line) for name, line in found if name.split(".")[0] == "kypho"})
