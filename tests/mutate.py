"""Change the source in one place after another, and say which changes no test notices; docs/mutants.md lists those.

``python -m tests.mutate ROOM...`` has mutmut mutate the files of some rooms, each by the tests of its own folder alone,
in a copy of the project in build/mutation, on a server that it starts. All rooms take hours; a file of a room, such as
``io/limits.py``, takes minutes, and fewer by the ``--tests`` that are of it.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from example.cluster import Cluster

ROOT = Path(__file__).resolve().parents[1]
COPIES = ROOT / "build" / "mutation"
NOT_COPIED = {".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", "build", "dist"}


@dataclass(frozen=True)
class Room:
    """Files of ``src/pg_lo_storage``, and the tests that are to notice each change of them."""

    files: tuple[str, ...]
    tests: tuple[str, ...]
    seconds: int = 60
    """A test that takes longer has noticed: a change may make a loop endless."""


# Without those that cut connections: mutmut runs the tests again and again in one process.
ANSWERS = ("answer", "conditions", "oracle", "presentation", "ranges", "serve")
ROOMS = {
    "names": Room(("names.py",), ("test_names.py",)),
    "http": Room(("http/*.py", "content_types.py"), ("http", *(f"serving/test_{name}.py" for name in ANSWERS))),
    "serving": Room(("serving/*.py",), ("serving",)),
    "io": Room(("io/*.py",), ("io",)),
    "drivers": Room(("drivers/*.py",), ("drivers", "testing")),
    "lifecycle": Room(("lifecycle/*.py",), ("lifecycle",)),
    "catalogue": Room(("catalogue/unlinking.py",), ("catalogue", "lifecycle")),
}
# Decorators that may as well be called below the function; the others may register it, or are read by name.
MOVED = {"asynccontextmanager", "cached_property", "contextmanager", "property"}
# Left out: a result that was cached before the function was changed would stand in for its own.
CACHES = {"cache", "lru_cache"}
FEW = {"PG_LO_TEST_HISTORIES": "6", "PG_LO_TEST_EXAMPLES": "30"}


def configuration(room: Room) -> str:
    """Return mutmut's section of pyproject.toml."""
    return f"""
[tool.mutmut]
source_paths = ["src"]
only_mutate = {[f"src/pg_lo_storage/{path}" for path in room.files]}
also_copy = {sorted(path.name for path in ROOT.iterdir() if path.name not in {*NOT_COPIED, "src"})}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-m", "not server_tools", "--timeout", "{room.seconds}"]
pytest_add_cli_args_test_selection = {[f"tests/{path}" for path in room.tests]}
"""


def room_of(name: str, tests: list[str], seconds: int) -> Room:
    """Return the room of that name, or of that file alone; ``tests`` stand in for the room's own."""
    found = ROOMS.get(name) or Room((name,), ROOMS[name.partition("/")[0]].tests)
    return Room(found.files, tuple(tests) or found.tests, seconds)


def mutate(name: str, room: Room) -> list[str]:
    """Try all mutants of a room; return those that survived, each as its name and a diff."""
    copy = COPIES / name.removesuffix(".py").replace("/", "-")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT, copy, ignore=lambda folder, _: NOT_COPIED if Path(folder) == ROOT else {"__pycache__"})
    for path in room.files:
        for source in (copy / "src/pg_lo_storage").glob(path):
            source.write_text(undecorated(source.read_text("utf-8")), "utf-8")
    with (copy / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(configuration(room))
    with Cluster() as cluster:
        # A cluster for each mutant would take longer than its tests.
        server = {"PG_LO_TEST_DSN": cluster.dsn(), "PG_LO_TEST_OTHER_DSN": cluster.dsn("other")}
        # One at a time, for they share it.
        mutmut("run", "--max-children", "1", cwd=copy, env=os.environ | FEW | server)
    results = output("results", cwd=copy)
    survivors = re.findall(r"^\s*(\S+): (?:survived|no tests|suspicious)$", results, re.MULTILINE)
    changes = {survivor: changed_lines(output("show", survivor, cwd=copy)) for survivor in survivors}
    return [f"{survivor}\n{change}" for survivor, change in changes.items() if not is_of_types(change)]


def undecorated(source: str) -> str:
    """Return source that decorates its functions and methods by calls below them: mutmut leaves alone what has an @."""
    lines = re.sub(r"^ *@override\n", "", source, flags=re.MULTILINE).splitlines(keepends=True)
    places = [place for place in ast.walk(ast.parse("".join(lines))) if isinstance(place, ast.Module | ast.ClassDef)]
    members = [member for place in places for member in place.body]
    functions = [member for member in members if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in sorted(functions, key=lambda function: function.lineno, reverse=True):
        decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
        names = {decorator.partition("(")[0].rpartition(".")[2] for decorator in decorators}
        if decorators and (names <= MOVED or names <= CACHES):
            call = f"{'('.join([*decorators, function.name])}{')' * len(decorators)}"
            below = f"{function.name} = {call}" if names <= MOVED else f"{function.name}.cache_clear = lambda: None"
            lines.insert(function.end_lineno or 0, f"{' ' * function.col_offset}{below}\n")
            del lines[function.decorator_list[0].lineno - 1 : function.lineno - 1]
    return "".join(lines)


def changed_lines(diff: str) -> str:
    """Return the lines of a diff that were changed."""
    return "\n".join(re.findall(r"^[-+](?![-+]).*$", diff, re.MULTILINE))


def is_of_types(change: str) -> bool:
    """Tell whether a change is one of the types that ``cast`` names, which nothing looks at."""
    before, _, after = (re.sub(r'cast\((?:"[^"]*"|None), ', "", line) for line in change.partition("\n"))
    return before[1:] == after[1:]


def mutmut(*arguments: str, cwd: Path, env: dict[str, str]) -> None:
    """Run mutmut."""
    subprocess.run([sys.executable, "-m", "mutmut", *arguments], cwd=cwd, env=env, check=True)


def output(*arguments: str, cwd: Path) -> str:
    """Return what mutmut says."""
    argv = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Mutate the rooms of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"one of {', '.join(ROOMS)}, or a file of one")
    parser.add_argument("--tests", nargs="+", default=[], help="files or folders of tests/, instead of the room's")
    parser.add_argument("--seconds", type=int, default=Room.seconds, help="how long a test may take (default: 60)")
    options = parser.parse_args()
    rooms = options.rooms or list(ROOMS)
    if unknown := {room for room in rooms if room.partition("/")[0] not in ROOMS}:
        parser.error(f"no room {', '.join(sorted(unknown))}; there are: {', '.join(ROOMS)}")
    for room in rooms:
        survivors = mutate(room, room_of(room, options.tests, options.seconds))
        print(f"\n=== {room}: {len(survivors)} survived\n")
        print("\n\n".join(survivors), flush=True)


if __name__ == "__main__":
    main()
