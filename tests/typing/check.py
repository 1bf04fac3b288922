"""Check the types that users get: ``python -m tests.typing.check``, with uv at hand; exits with 1 on any deviation.

The package is built and installed, as from PyPI, in environments with and without the stubs that others publish;
there each checker in strict mode must refuse exactly the lines of ``examples`` that are marked ``# E``.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tests.package import Failure, build, run, say
from tests.run_all import ROOT, UV

EXAMPLES = Path(__file__).with_name("examples")
# Of untyped models a checker knows no managers.
ONLY_WITH_STUBS = ["querying.py"]
# pyrefly reads the fields of django-stubs by rules of its own, which take every file field's value for Any.
MODELS = ["models.py", "querying.py"]
CHECKERS = ["mypy", "pyright[nodejs]", "pyrefly", "pandas", "pandas-stubs", "pillow", "typing_extensions"]
MARK = re.compile(r"  # E(?:\[(?P<words>[^\]]+)\])?: ")
UNKNOWN = ["reportUnknownMemberType", "reportUnknownArgumentType", "reportUnknownVariableType"]

Place: TypeAlias = tuple[str, int]


@dataclass(frozen=True)
class Environment:
    """What a user has installed beside the package, and what the marks call it."""

    name: str
    requirements: tuple[str, ...]
    words: frozenset[str]
    plugin: bool = False

    @property
    def untyped(self) -> bool:
        """Whether Django has no types."""
        return "django-stubs" not in self.words


BOTH = frozenset({"django-stubs", "psycopg2-stubs"})
ENVIRONMENTS = [
    Environment("plugin", ("django-stubs", "types-psycopg2"), BOTH, plugin=True),
    Environment("stubs", ("django-stubs", "types-psycopg2"), BOTH),
    Environment("django-stubs", ("django-stubs",), frozenset({"django-stubs"})),
    Environment("none", (), frozenset()),
]


def install(environment: Environment, wheel: Path, folder: Path) -> Path:
    """Make the environment, of the versions that are locked, and a user's project; return the project."""
    constraints = folder / "constraints.txt"
    if not constraints.exists():
        export = [UV, "export", "--frozen", "--all-groups", "--all-extras", "--no-hashes", "--no-emit-project"]
        constraints.write_text(run(*export))
    project = folder / environment.name
    run(UV, "venv", "--quiet", "--python", sys.executable, project / ".venv")
    package = f"pg-lo-storage[django,psycopg,psycopg2] @ {wheel.as_uri()}"
    python = project / ".venv" / "bin" / "python"
    install = [UV, "pip", "install", "--quiet", "--python", python, "--constraint", constraints]
    run(*install, package, *CHECKERS, *environment.requirements)
    left_out = ["__pycache__", *(ONLY_WITH_STUBS if environment.untyped else ())]
    shutil.copytree(EXAMPLES, project / "examples", ignore=shutil.ignore_patterns(*left_out))
    configure(environment, project)
    return project


def configure(environment: Environment, project: Path) -> None:
    """Configure the checkers as a strict user does."""
    mypy = ["[mypy]", "strict = true", "files = examples"]
    pyright: dict[str, Any] = {"typeCheckingMode": "strict", "include": ["examples"], "venvPath": ".", "venv": ".venv"}
    if environment.plugin:
        mypy += ["plugins = mypy_django_plugin.main", "[mypy.plugins.django-stubs]"]
        mypy += ["django_settings_module = examples.settings"]
    elif environment.untyped:
        # What a user without django-stubs has to say.
        mypy += ["disallow_subclassing_any = false", "disallow_untyped_decorators = false", "[mypy-django.*]"]
        mypy += ["ignore_missing_imports = true"]
        pyright |= dict.fromkeys(UNKNOWN, False)
    if "psycopg2-stubs" not in environment.words:
        mypy += ["[mypy-psycopg2.*]", "ignore_missing_imports = true"]
        pyright["reportMissingModuleSource"] = pyright["reportMissingTypeStubs"] = False
    (project / "mypy.ini").write_text("\n".join(mypy))
    (project / "pyrightconfig.json").write_text(json.dumps(pyright))
    (project / "pyrefly.toml").write_text('project-includes = ["examples"]\npreset = "strict"\n')


def mypy(project: Path) -> Iterator[tuple[Place, str]]:
    """Yield mypy's errors."""
    for line in run(project / ".venv/bin/mypy", "--output=json", cwd=project, may_fail=True).splitlines():
        found = json.loads(line)
        if found["severity"] == "error":
            yield (Path(found["file"]).name, found["line"]), f"{found['message']} [{found['code']}]"


def pyright(project: Path) -> Iterator[tuple[Place, str]]:
    """Yield pyright's errors."""
    output = json.loads(run(project / ".venv/bin/pyright", "--outputjson", cwd=project, may_fail=True))
    if not output["summary"]["filesAnalyzed"]:
        raise Failure("pyright found no files")
    for found in output["generalDiagnostics"]:
        place = (Path(found["file"]).name, found["range"]["start"]["line"] + 1)
        yield place, f"{found['message']} [{found.get('rule', '')}]"


def pyrefly(project: Path) -> Iterator[tuple[Place, str]]:
    """Yield pyrefly's errors."""
    command = [project / ".venv/bin/pyrefly", "check", "--output-format=json", "--python-interpreter-path"]
    output = json.loads(run(*command, project / ".venv/bin/python", cwd=project, may_fail=True))
    for found in output["errors"]:
        yield (Path(found["path"]).name, found["line"]), f"{found['description']} [{found['name']}]"


def expected(examples: Path, words: frozenset[str]) -> set[Place]:
    """Return the lines that must be refused where these words apply."""
    places = set[Place]()
    for path in examples.glob("*.py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            mark = MARK.search(line)
            alternatives = (mark["words"] or "").split("|") if mark else []
            if any(words.issuperset(alternative.split()) for alternative in alternatives):
                places.add((path.name, number))
    return places


def compare(found: Iterable[tuple[Place, str]], wanted: set[Place]) -> Iterator[str]:
    """Yield each deviation."""
    messages = dict[Place, list[str]]()
    for place, message in found:
        messages.setdefault(place, []).append(message)
    for (name, line), texts in sorted(messages.items()):
        if (name, line) not in wanted:
            yield from (f"{name}:{line}: {text}" for text in texts)
    for name, line in sorted(wanted - messages.keys()):
        yield f"{name}:{line}: is accepted"


def check_examples(folder: Path, wheel: Path, only: str | None) -> Iterator[str]:
    """Yield what each checker says otherwise than marked, in each environment."""
    for environment in ENVIRONMENTS:
        if only not in {None, environment.name}:
            continue
        project = install(environment, wheel, folder)
        for checker in (mypy, pyright, pyrefly):
            words = environment.words | {environment.name, checker.__name__}
            found, wanted = list(checker(project)), expected(project / "examples", words)
            if checker is pyrefly and not environment.untyped:
                found = [(place, message) for place, message in found if place[0] not in MODELS]
                wanted = {place for place in wanted if place[0] not in MODELS}
            deviations = list(compare(found, wanted))
            say(f"{environment.name}, {checker.__name__}: {len(deviations)} deviations")
            yield from (f"{environment.name}, {checker.__name__}: {deviation}" for deviation in deviations)
        if environment.plugin:
            yield from verify_types(project)


def verify_types(project: Path) -> Iterator[str]:
    """Yield each public symbol whose type is not known in full."""
    verify = ["--ignoreexternal", "--verifytypes", "pg_lo_storage", "--outputjson"]
    output = json.loads(run(project / ".venv/bin/pyright", *verify, cwd=project, may_fail=True))
    completeness = output["typeCompleteness"]
    symbols = sum(completeness["exportedSymbolCounts"].values())
    say(f"verifytypes: {completeness['completenessScore']:.1%} of {symbols} symbols")
    for symbol in completeness["symbols"]:
        if symbol["isExported"] and not symbol["isTypeKnown"]:
            yield f"verifytypes: {symbol['name']}: {[found['message'] for found in symbol['diagnostics']]}"


def check_stubs() -> Iterator[str]:
    """Yield what stubtest says of our stubs of others, in this environment."""
    command = [sys.executable, "-m", "mypy.stubtest", "psycopg2", "--ignore-missing-stub"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"MYPYPATH": "stubs"}, capture_output=True, text=True, check=False
    )
    say(f"stubtest: {'passed' if not done.returncode else 'failed'}")
    if done.returncode:
        yield f"stubtest: {done.stdout}{done.stderr}"


def main() -> int:
    """Run it all and print the deviations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[environment.name for environment in ENVIRONMENTS])
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory(prefix="pg-lo-types-") as name:
        folder = Path(name)
        try:
            deviations = [*check_stubs(), *check_examples(folder, build(folder / "dist"), only)]
        except Failure as error:
            deviations = [str(error)]
    say(*deviations)
    return int(bool(deviations))


if __name__ == "__main__":
    sys.exit(main())
