"""Run the checks and the whole suite, each driver in an environment of its own; ends on one summary line.

Without an option it runs lint, types, the suite on each driver, and the tests without a driver; ``--matrix`` runs the
suite on other versions of Python, Django and PostgreSQL, ``--packages`` the tests with other packages for Django,
``--site`` those that go through the example site in Debian's chromium, ``--docs`` builds the documentation,
``--server-tools`` the group that needs vacuumlo, pg_dump, lz4 and contrib, or curl, wget, chromium, nginx and
pgbouncer, and PyGreSQL, ``--faults`` more crashes, ``--users-types`` the types that users get, ``--package`` what is
published, several of these options all of that, and ``--only NAME`` some of it by name. ``--coverage`` runs the suite
and the tests with other packages, and says which branches of ``src`` no driver's tests take. All other arguments are
passed to pytest.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.processes import Interrupted, Processes, adopt_orphans, interrupt_on_signals

ROOT = Path(__file__).resolve().parents[1]
UV = os.environ.get("UV", "uv")
DRIVERS = ("psycopg", "psycopg2")
# What neither the driver nor a version can change is run with the first driver only.
EVERYWHERE = "not server_tools and not once"
# Where CI is set, pytest explains the difference of two large values line by line, for minutes; without bytecode on
# disk each process that a test starts compiles Django and the drivers, which takes longer than all else it does.
UNSET = {"CI", "PYTHONDONTWRITEBYTECODE"}
NO_TESTS = 5  # pytest's exit status
SYSTEM_SERVERS = Path("/usr/lib/postgresql")
BELOW_DJANGO = ("aio", "contrib_fsspec", "drivers", "io", "testing", "transfer")
# They install apps of their own. Each file field of a project takes time whenever a file is replaced or deleted, and
# each table whenever a test ends: so they have a process of their own, and all other tests a smaller project.
WITH_APPS = ("damage", "erasing", "faults", "lifecycle", "maintenance", "moving", "predecessor")
# Histories of rows and files, in which Django's version decides more than the driver's.
HISTORIES = ("lifecycle/test_remembered.py", "lifecycle/test_shards.py", "lifecycle/test_table.py", "maintenance")
# Nor do the drivers' and Django's lowest versions decide in these, which take long.
LONG = (
    "catalogue/test_foreign_names.py",
    "catalogue/test_migrate_adopts.py",
    "contrib_fsspec",
    "storage/test_admin.py",
    "damage",
)
# What triggers do by themselves is the server's doing, whichever driver sent the statement that they are of.
BY_SERVER = tuple(
    f"operations/test_{name}.py"
    for name in ("growth", "names", "same", "same_sessions", "sessions", "statements", "strangers", "tables")
)
# Commands, of which the versions change little, and the suite proper has them with either driver.
BY_COMMANDS = ("damage", "erasing", "maintenance")
# What mostly has the catalogue, so that a row without it adds little to the others.
WITH_CATALOGUE = ("catalogue", "hostile", "operations", "uploads")
# What Django and the server do, and no driver's lowest version changes: the first row has most of it with the lowest
# Django, and the suite proper all with another of the same series.
ABOVE_DRIVERS = ("catalogue", "hostile", "operations", *WITH_APPS)
# Nor is what the pages say, and what names are, other than in the suite proper, which has the lowest Python.
AS_IN_SUITE = (*LONG, "fuzz", "readme")
# Python, Django, PostgreSQL, driver, paths left out: every value at least once on either driver, not the full product.
# "lowest" are the lower bounds that pyproject.toml promises, of Django and of all else. What stands below Django runs
# with the drivers' lowest versions here, with their newest in the suite proper; files are saved with the lowest of one
# driver, and served with that of the other. Every other row has the catalogue.
MATRIX = [
    ("3.11", "lowest", "system", "psycopg", (*HISTORIES, *AS_IN_SUITE, "catalogue", "hostile", "serving")),
    ("3.11", "lowest", "16", "psycopg2", (*ABOVE_DRIVERS, *AS_IN_SUITE, "storage")),
    ("3.12", "6.x", "system", "psycopg2", (*BELOW_DJANGO, *HISTORIES, *LONG, *BY_COMMANDS, *WITH_CATALOGUE)),
    ("3.13", "6.x", "16", "psycopg", (*BELOW_DJANGO, *BY_COMMANDS, "operations")),
    ("3.14", "6.x", "18", "psycopg2", ()),
]
# What hardly depends on versions and takes long is left to the suite proper.
NOT_IN_MATRIX = (
    "test_benchmarks.py",
    "test_cluster.py",
    "test_demo.py",
    "test_main.py",
    "test_structure.py",
    "testing/test_mutants.py",
    "aio/test_asyncpg.py",
    "aio/test_cancellation.py",
    "aio/test_oracle.py",
    "drivers/test_encrypted.py",
    "drivers/test_pg8000.py",
    "catalogue/test_killed_transfers.py",
    "lifecycle/test_concurrency.py",
    "lifecycle/test_many.py",
    "faults",
    "serving/test_servers.py",
    "storage/test_encrypted.py",
)
# Not as many histories and examples as the tests have by themselves, but the first ones; with another driver, and in
# the matrix, fewer still.
SOME = {"PG_LO_TEST_HISTORIES": "8", "PG_LO_TEST_EXAMPLES": "40"}
FEWER_DRAWS = {"PG_LO_TEST_HISTORIES": "6", "PG_LO_TEST_EXAMPLES": "30", "PG_LO_TEST_SHARD_OPERATIONS": "30"}
# The matrix has the second driver without the catalogue.
CATALOGUE = {"PG_LO_TEST_CATALOGUE": "catalogue"}
LESS_OF_PACKAGES = CATALOGUE | {"PG_LO_TENANT_OPERATIONS": "50"}
# The matrix runs on the wheel that is built of src, as users have it.
BUILT = ("--no-editable", "--refresh-package", "pg-lo-storage")
DJANGO = {"6.x": "django>=6,<7"}


@dataclass
class Stage:
    """One command, and what came of it."""

    name: str
    argv: list[str]
    environment: dict[str, str] = field(default_factory=dict[str, str])
    pytest: bool = True
    takes_arguments: bool = True
    may_be_empty: bool = False
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0

    def run(self, processes: Processes, junit: Path, pytest_arguments: list[str], *, streaming: bool = True) -> None:
        """Run the command and count; its output streams, or follows when it is done."""
        title = f"\n=== {self.name}: {' '.join(self.argv)}"
        print(title if streaming else f"started: {self.name}", flush=True)
        extra = [f"--junit-xml={junit}"] if self.pytest else []
        extra += pytest_arguments if self.pytest and self.takes_arguments else []
        start = time.monotonic()
        variables = {name: value for name, value in os.environ.items() if name not in UNSET} | self.environment
        status, output = processes.run([*self.argv, *extra], ROOT, variables, capture=not streaming)
        if not streaming:
            print(f"{title}\n{output.decode(errors='replace')}", flush=True)
        self.seconds = time.monotonic() - start
        if self.pytest and junit.exists():
            self._count(junit)
        elif not self.pytest:
            self.passed = int(status == 0)
        empty = self.may_be_empty and status == NO_TESTS
        if status and not empty and not self.failed:
            self.failed = 1

    def _count(self, junit: Path) -> None:
        for suite in ET.parse(junit).getroot().iter("testsuite"):
            total, failures, errors, skipped = (
                int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
            )
            self.failed += failures + errors
            self.skipped += skipped
            self.passed += total - failures - errors - skipped


def environment(extras: list[str], group: str = "test", python: str | None = None) -> list[str]:
    """Return uv's command for a fresh environment with those extras only."""
    argv = [UV, "run", "--locked", "--isolated", "--no-default-groups", "--group", group]
    if python:
        argv += ["--python", python]
    for extra in extras:
        argv += ["--extra", extra]
    return argv


def checks() -> list[Stage]:
    """Return the linters and type checkers, of the environment that this runs in."""
    tools = {
        "ruff": ["ruff", "check"],
        "format": ["ruff", "format", "--check"],
        "mypy": ["mypy"],
        "pyright": ["pyright"],
    }
    stages = [Stage(name, [sys.executable, "-m", *argv], pytest=False) for name, argv in tools.items()]
    return [*stages, *of_github()]


def of_github() -> Iterator[Stage]:
    """Yield what reads the workflows, and the forms for issues."""
    folder, programs = ROOT / ".github", Path(sys.executable).parent
    forms, chooser = folder / "ISSUE_TEMPLATE", folder / "ISSUE_TEMPLATE" / "config.yml"
    schemas = {
        "workflows": sorted(folder.glob("workflows/*.yml")),
        "issue-forms": sorted(set(forms.glob("*.yml")) - {chooser}),
    }
    for name, files in schemas.items():
        argv = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.github-{name}", *map(str, files)]
        yield Stage(name, argv, pytest=False)
    yield Stage("workflows' security", [str(programs / "zizmor"), "--offline", "--quiet", str(folder)], pytest=False)


def suites() -> list[Stage]:
    """Return the suite on each driver, and the tests that need none, or no Django."""
    first, *others = DRIVERS
    stages = list(in_two(first, environment(["django", first]), "not server_tools", SOME))
    for driver in others:
        stages += in_two(driver, environment(["django", driver]), EVERYWHERE, FEWER_DRAWS | CATALOGUE, BY_SERVER)
    return [*stages, without_django(), with_sqlalchemy(), without_driver("no driver")]


def in_two(
    name: str, argv: list[str], marked: str, variables: dict[str, str], left_out: tuple[str, ...] = ()
) -> Iterator[Stage]:
    """Yield the suite in an environment as two stages: the tests whose folders install apps, and all others."""
    pytest = [*argv, "pytest", "-m", marked, *(f"--ignore=tests/{path}" for path in left_out)]
    yield Stage(name, [*pytest, *(f"--ignore=tests/{folder}" for folder in WITH_APPS)], variables)
    if folders := [f"tests/{folder}" for folder in WITH_APPS if folder not in left_out]:
        yield Stage(f"{name}, with apps", [*pytest, *folders], variables)


def without_django() -> Stage:
    """Return the tests that need a driver and no Django, in an environment that has none."""
    folder = "tests/without_django"
    argv = [*environment(["psycopg", "starlette"], "web"), "pytest", f"--confcutdir={folder}", folder]
    return Stage("psycopg, no Django", argv, takes_arguments=False)


def with_sqlalchemy() -> Stage:
    """Return the tests on SQLAlchemy, with both drivers, in an environment without Django."""
    folder = "tests/contrib_sqlalchemy"
    argv = [*environment(["sqlalchemy", *DRIVERS], "sqlalchemy"), "pytest", f"--confcutdir={folder}", folder]
    return Stage("SQLAlchemy, no Django", argv, takes_arguments=False)


def pygresql() -> Stage:
    """Return the tests of the example driver for PyGreSQL, which needs gcc and libpq-dev to be installed."""
    folder = "tests/pygresql"
    argv = [*environment(["psycopg"], "pygresql"), "pytest", f"--confcutdir={folder}", folder]
    return Stage("PyGreSQL", argv, {"PG_LO_TEST_BINDIR": ""}, takes_arguments=False)


def without_driver(name: str, python: str | None = None) -> Stage:
    """Return the tests that need neither Django nor a driver, in an environment that has neither."""
    folder = "tests/without_driver"
    argv = [*environment([], "test-bare", python), "pytest", f"--confcutdir={folder}", folder]
    return Stage(name, argv, takes_arguments=False)


def packages() -> list[Stage]:
    """Return the tests with other packages for Django, in an environment that has them all."""
    return [
        Stage(
            f"{name}, {driver}",
            [*environment(["django", driver], "packages"), "pytest", f"--confcutdir={folder}", folder],
            {"PG_LO_TEST_BINDIR": ""} | variables,
        )
        for driver, variables in zip(DRIVERS, ({}, LESS_OF_PACKAGES), strict=True)
        for name, folder in (("packages", "tests/packages"), ("tenants", "tests/tenants"))
    ]


def site() -> list[Stage]:
    """Return the tests that go through the example site in Debian's chromium."""
    folder = "tests/site"
    return [
        Stage(
            f"site, {driver}",
            [*environment(["django", driver], "browser"), "pytest", "-m", marked, f"--confcutdir={folder}", folder],
            {"PG_LO_TEST_BINDIR": ""},
        )
        for driver, marked in zip(DRIVERS, ("", "not once"), strict=True)
    ]


def documentation() -> Stage:
    """Return the build of the documentation, and the tests of what it makes."""
    folder = "tests/documentation"
    argv = [*environment([], "docs"), "--all-extras", "pytest", f"--confcutdir={folder}", folder]
    return Stage("documentation", argv, takes_arguments=False)


def server_tools() -> list[Stage]:
    """Return the marked group, on the server that the environment names."""
    return [
        Stage(
            f"server_tools, {driver}",
            [*environment(["django", driver]), "pytest", "-m", marked],
            may_be_empty=True,
        )
        for driver, marked in zip(DRIVERS, ("server_tools", "server_tools and not once"), strict=True)
    ]


def faults(rounds: int) -> list[Stage]:
    """Return the faults, so many of each kind, on each driver."""
    return [
        Stage(
            f"faults, {driver}",
            [*environment(["django", driver]), "pytest", "-s", "tests/faults"],
            {"PG_LO_TEST_FAULT_ROUNDS": str(rounds)},
        )
        for driver in DRIVERS
    ]


def counted() -> list[Stage]:
    """Return all whose branches are counted; not the last of the tenants', where the tracer and greenlet may hang."""
    *stages, _ = packages()
    return [covered(stage) for stage in (*suites(), *stages)]


def covered(stage: Stage) -> Stage:
    """Return the stage with the branches counted that it takes, which has it last half as long again."""
    place = stage.argv.index("pytest")
    counting = ["--group", "coverage", "coverage", "run", "-m"]
    return replace(stage, argv=[*stage.argv[:place], *counting, *stage.argv[place:], "--timeout=600"])


def coverage(command: str) -> Stage:
    """Return a command on what was counted, of all stages together."""
    return Stage(f"coverage {command}", [*environment([], "coverage"), "coverage", command], pytest=False)


def package() -> Stage:
    """Return the check of what is published, which installs it as its users do."""
    return Stage("package", [sys.executable, "-m", "tests.package"], pytest=False)


def users_types() -> Stage:
    """Return the check of the types that users get, in environments of its own."""
    return Stage("users' types", [sys.executable, "-m", "tests.typing.check"], pytest=False)


def matrix(missing: set[str]) -> Iterator[Stage]:
    """Yield the rows of the matrix; what this machine lacks goes into ``missing``, by name."""
    system = sorted(SYSTEM_SERVERS.glob("*/bin/postgres"), reverse=True)
    pythons: dict[str, str] = {}
    for row, (version, django, server, driver, left_out) in enumerate(MATRIX):
        python = pythons.get(version) or find_python(version)
        if python is None:
            missing.add(f"Python {version}")
            continue
        pythons[version] = python
        variables = FEWER_DRAWS | {"PG_LO_TEST_BINDIR": "", "PG_LO_TEST_DSN": "", "PG_LO_TEST_PGVERSION": server}
        variables["PG_LO_TEST_CATALOGUE"] = ("bare", "catalogue")[row % 2]
        found = server
        if server == "system":
            if not system:
                missing.add(f"PostgreSQL in {SYSTEM_SERVERS}")
                continue
            bindir = system[row % len(system)].parent
            variables |= {"PG_LO_TEST_BINDIR": str(bindir), "PG_LO_TEST_PGVERSION": ""}
            found = bindir.parent.name
        argv = [*environment(["django", driver], python=python), *BUILT]
        for requirement in requirements(django, driver):
            argv += ["--with", requirement]
        name = f"Python {version}, Django {django}, PostgreSQL {found}, {driver}"
        yield from in_two(name, argv, EVERYWHERE, variables, (*NOT_IN_MATRIX, *left_out))
    for version, python in pythons.items():
        yield without_driver(f"Python {version}, no driver", python)


def requirements(django: str, driver: str) -> list[str]:
    """Return what stands in for the locked versions."""
    if django != "lowest":
        return [DJANGO[django]]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    ranges: list[str] = [*project["dependencies"], *extras["django"], *extras[driver]]
    return [bounds.partition(",")[0].replace(">=", "==") for bounds in ranges]


def find_python(version: str) -> str | None:
    """Return an interpreter; pyenv hides those that are not its global one."""
    found = subprocess.run([UV, "python", "find", version], capture_output=True, text=True, check=False)
    if found.returncode == 0:
        return found.stdout.strip()
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    return next((str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python{version}"))), None)


def report(stages: list[Stage], missing: set[str], left_out: str) -> int:
    """Print the table and the summary line; return the exit status."""
    width = max(len(stage.name) for stage in stages)
    print(f"\n{'environment':{width}}  passed  failed  skipped  seconds")
    for stage in stages:
        counts = f"{stage.passed:6}  {stage.failed:6}  {stage.skipped:7}  {stage.seconds:7.1f}"
        print(f"{stage.name:{width}}  {counts}")
    for name in sorted(missing):
        print(f"not found: {name}")
    if left_out:
        print(left_out)
    passed, failed, skipped = (
        sum(getattr(stage, name) for stage in stages) for name in ("passed", "failed", "skipped")
    )
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return int(failed > 0)


def asked_for(options: argparse.Namespace, missing: set[str]) -> list[Stage]:
    """Return what the command line names, the longest first, so that at the end no core is idle for long."""
    stages = list(matrix(missing)) if options.matrix else []
    stages += [*server_tools(), pygresql()] if options.server_tools else []
    stages += packages() if options.packages else []
    stages += site() if options.site else []
    stages += [documentation()] if options.docs else []
    stages += faults(options.rounds) if options.faults else []
    stages += [users_types()] if options.users_types else []
    stages += [package()] if options.package else []
    stages += counted() if options.coverage else []
    return stages


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--matrix", action="store_true", help="other versions of what we stand on")
    parser.add_argument("--packages", action="store_true", help="with other packages for Django")
    parser.add_argument("--site", action="store_true", help="the example site in a browser")
    parser.add_argument("--docs", action="store_true", help="the documentation, built by Sphinx")
    parser.add_argument("--server-tools", action="store_true", help="the group server_tools")
    parser.add_argument("--faults", action="store_true", help="crashes, more of them than in the suite")
    parser.add_argument("--coverage", action="store_true", help="the branches of src that the suite takes")
    parser.add_argument("--rounds", type=int, default=60, help="how many faults of each kind (default: 60)")
    parser.add_argument("--users-types", action="store_true", help="the types that users get")
    parser.add_argument("--package", action="store_true", help="what is published, built and installed")
    parser.add_argument("--only", action="append", metavar="NAME", help="an environment; may be repeated")
    options, pytest_arguments = parser.parse_known_args()

    if options.server_tools and not os.environ.get("PG_LO_TEST_BINDIR"):
        parser.error("--server-tools takes PG_LO_TEST_BINDIR, the folder of PostgreSQL's programs")

    missing: set[str] = set()
    left_out = ""
    stages = asked_for(options, missing)
    if not stages and not missing:
        stages = [*suites(), *checks()]
        left_out = "left out: the group server_tools, see 'just test-server-tools'"
    names = [stage.name for stage in stages]
    if unknown := set(options.only or []) - set(names):
        parser.error(f"no environment {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    stages = [stage for stage in stages if not options.only or stage.name in options.only]

    interrupted = 0
    processes = Processes()
    interrupt_on_signals()
    adopt_orphans()
    if options.coverage:
        shutil.rmtree(ROOT / "build" / "coverage", ignore_errors=True)
    # Two at a time: each waits for its server half of the time.
    with tempfile.TemporaryDirectory(prefix="pg-lo-junit-") as folder, ThreadPoolExecutor(max_workers=2) as pool:
        try:
            runs = [
                pool.submit(
                    stage.run, processes, Path(folder, f"{n}.xml"), pytest_arguments, streaming=len(stages) == 1
                )
                for n, stage in enumerate(stages)
            ]
            for run in runs:
                run.result()
            for command in ("combine", "report") if options.coverage else ():
                stages.append(stage := coverage(command))
                stage.run(processes, Path(), [])
        except Interrupted as error:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.end()
            interrupted = error.status
    if interrupted:
        print("interrupted", flush=True)
        return interrupted
    return report(stages, missing, left_out)


if __name__ == "__main__":
    sys.exit(main())
