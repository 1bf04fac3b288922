"""Where things stand: imports run down the layers, no two files import each other, and classes tell their door."""

import ast
import importlib
import inspect
import re
import typing
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.test_public_api import can_be_imported, documented

pytestmark = pytest.mark.once

PACKAGE = "pg_lo_storage"
ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / PACKAGE
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
# Each imports only what stands in a line below its own, or is of its own package.
LAYERS = [
    {"__main__", "admin", "apps", "fields"},
    {"triggers"},
    {"checks", "views", "management", "operations", "tus", "uploadhandler", "contrib"},
    {"maintenance"},
    {"lifecycle", "serving", "testing"},
    {"storage", "transfer"},
    {"http"},
    {"aio", "catalogue"},
    {"catalogued", "io", "databases", "migrations"},
    {"drivers", "models"},
    {"content_types", "exceptions", "names", "signals"},
]
DEPTH = {part: depth for depth, parts in enumerate(LAYERS) for part in parts}


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imported_by(path: Path) -> set[str]:
    """Return our modules that a file imports anywhere, for its types only, or in a function."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return (found & set(MODULES)) - {module_of(path)}


IMPORTS = {module: imported_by(path) for module, path in MODULES.items()}


def part_of(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.once
def test_each_part_has_its_layer() -> None:
    assert {part_of(module) for module in MODULES if module != PACKAGE} == set(DEPTH)


@pytest.mark.once
@pytest.mark.parametrize("module", [module for module in MODULES if module != PACKAGE])
def test_imports_run_down_only(module: str) -> None:
    part = part_of(module)
    others = {part_of(other) for other in IMPORTS[module]} - {part}
    assert {other for other in others if DEPTH[other] <= DEPTH[part]} == set()


# PostgreSQL looks for the operator of these, or for several, in the whole search path.
UNSAID = re.compile(r"\bin \((?!values)|\bnullif\(|\bdistinct from\b|\bcase \S+ when\b| (not )?(i?like|between) [%'\w]")


@pytest.mark.once
@pytest.mark.parametrize("module", [module for module in MODULES if not module.startswith(f"{PACKAGE}.operations")])
def test_no_statement_leaves_it_to_the_search_path_which_operator_is_meant(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    statements = [text for text in texts if re.search(r"\b(select|where|from|case)\b", text) and not text[:1].isupper()]
    assert [text for text in statements if UNSAID.search(text)] == []


@pytest.mark.once
def test_no_file_is_longer_than_a_reader_keeps_in_mind() -> None:
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > 300} == {}


def test_no_two_files_import_each_other() -> None:
    list(TopologicalSorter(IMPORTS).static_order())


@pytest.mark.parametrize("door", documented())
def test_a_public_class_tells_its_door(door: str) -> None:
    module = importlib.import_module(door)
    public = {name: getattr(module, name) for name in module.__all__ if can_be_imported(name)}
    told = {name: value.__module__ for name, value in public.items() if inspect.isclass(value)}
    doors = {name: {other for other, names in documented().items() if name in names} for name in told}
    assert {name: where for name, where in told.items() if where not in doors[name]} == {}


@pytest.mark.once
def test_the_architecture_shows_these_layers() -> None:
    table = ARCHITECTURE.partition("## The layers")[2].partition("Three rules")[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    shown = [{name.rstrip("/") for name in re.findall(r"`([a-z_]+/?)`", line.split("|")[1])} for line in lines]
    assert shown == LAYERS


@pytest.mark.once
def test_the_architecture_names_files_that_are_there() -> None:
    folder, missing = "", set[str]()
    for name in re.findall(r"`((?:[a-z_]+/)*[a-z0-9_]+(?:\.py|/))`", ARCHITECTURE):
        folder = name.rpartition("/")[0] or folder
        places = (SOURCE / name, SOURCE / folder / name, ROOT / name)
        if not any(place.exists() for place in places):
            missing.add(name)
    assert missing == set()


@pytest.mark.parametrize("door", [door for door in documented() if not door.endswith(".models")])
def test_the_types_of_a_public_class_are_found_from_its_door(door: str) -> None:
    """Its module is said to be its door, where ``typing`` looks for the names in annotations that are strings."""
    module = importlib.import_module(door)
    for name in module.__all__:
        # The annotations of SQLAlchemy's own classes cannot be evaluated.
        if inspect.isclass(value := getattr(module, name, None)) and name != "LargeObjectType":
            typing.get_type_hints(value)
