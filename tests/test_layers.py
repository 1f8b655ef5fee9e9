"""A module imports only from its own layer and the layers above it, so a reader can start anywhere."""

from __future__ import annotations

import ast
import pathlib
import typing as t

import flask_postgres

ROOT = pathlib.Path(flask_postgres.__file__).parent

LAYERS = (
    "remedies",
    "sizes",
    "errors",
    "reporting",
    "redaction",
    "libpq",
    "hosts",
    "uri",
    "worktrees",
    "settings",
    "postgres",
    "app",
    "plans",
    "embedded",
    "api",
    "cli",
    "testing",
    "pytest",
)


def imports(path: pathlib.Path, *, types: bool = False) -> t.Iterator[str]:
    """Yield the modules that a file imports, at its top or later.

    :param types: whether those that are imported for types count.
    """
    package = ["flask_postgres", *path.relative_to(ROOT).parent.parts]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = (
        set()
        if types
        else {
            node
            for block in ast.walk(tree)
            if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
            for statement in block.body
            for node in ast.walk(statement)
        }
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in for_types:
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import) and node not in for_types:
            yield from (alias.name for alias in node.names)


def layer(module: str) -> str:
    return module.split(".")[1]


def test_every_module_is_in_a_layer() -> None:
    names = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert names == {*LAYERS, "__init__"}


def test_imports_go_up() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sorted(ROOT.rglob("*.py"))
        if path != ROOT / "__init__.py"
        for module in imports(path)
        if module.startswith("flask_postgres.") and layer(module) in LAYERS
        if LAYERS.index(layer(module)) > LAYERS.index(path.relative_to(ROOT).parts[0].removesuffix(".py"))
    ]
    assert wrong == []


def test_only_the_command_line_knows_click() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] != "cli"
        for module in imports(path)
        if module.split(".")[0] == "click"
    ]
    assert wrong == []


def test_the_core_neither_prints_nor_exits() -> None:
    program = ROOT / "settings" / "generate.py"  # one of its own, for the generated files
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} calls {name}"
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] != "cli" and path != program
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        if (name := ast.unparse(node.func)) in ("print", "input", "exit", "sys.exit")
    ]
    assert wrong == []


def graph() -> dict[str, set[str]]:
    """Return what each module of the package imports from it, for types as well."""
    modules = {
        ".".join(["flask_postgres", *path.relative_to(ROOT).with_suffix("").parts]): path
        for path in ROOT.rglob("*.py")
        if path.name != "__init__.py"
    }
    packages = {
        ".".join(["flask_postgres", *path.parent.relative_to(ROOT).parts]): path
        for path in ROOT.rglob("__init__.py")
        if path.parent != ROOT
    }
    known = {**modules, **packages}

    def resolve(name: str) -> str | None:
        while name not in known and "." in name:
            name = name.rpartition(".")[0]
        return name if name in known else None

    return {
        name: {found for one in imports(path, types=True) if (found := resolve(one)) not in (None, name)}
        for name, path in known.items()
    }


def test_no_circle_of_imports() -> None:
    """Not even for types: a file can be read after those that it imports."""
    left = graph()
    while free := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}
