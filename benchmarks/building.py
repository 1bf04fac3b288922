"""What the benchmark builds for itself: C programs, virtual environments, files to save."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.contenders import Environment
from tests.run_all import find_python

ROOT = Path(__file__).resolve().parents[1]
SOURCES = Path(__file__).with_name("c")
PACKAGES = "apt-get install gcc libpq-dev postgresql"
PYTHONS = ("3.13", "3.12")  # pg-lo-storage 0.2.2 needs at least 3.12
UV = os.environ.get("UV", "uv")
TEXT_BLOCK = 4_000_000


class CannotBuild(Exception):
    """What is missing, and what to do about it."""


class Workshop:
    """A folder that keeps what was built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._python: str | None = None
        self._digests: dict[tuple[str, int], str] = {}

    def program(self, name: str) -> Path:
        """Return a program of ``benchmarks/c``, compiled against libpq."""
        source, target = SOURCES / f"{name}.c", self.folder / "bin" / name
        if target.exists() and target.stat().st_mtime > source.stat().st_mtime:
            return target
        if not shutil.which("gcc") or not shutil.which("pg_config"):
            raise CannotBuild(f"a C compiler and libpq's headers are needed: {PACKAGES}")
        folders = [_run(["pg_config", option]).strip() for option in ("--includedir", "--libdir")]
        if not Path(folders[0], "libpq-fe.h").exists():
            raise CannotBuild(f"libpq's headers are needed: {PACKAGES}")
        target.parent.mkdir(exist_ok=True)
        flags = ["-O2", "-Wall", f"-I{folders[0]}", f"-L{folders[1]}", "-pthread"]
        _run(["gcc", *flags, "-o", str(target), str(source), "-lpq"])
        return target

    def python(self, environment: Environment) -> Path:
        """Return the interpreter of a virtual environment."""
        folder = self.folder / "environments" / environment.name
        interpreter, marker = folder / "bin" / "python", folder / "requirements"
        requirements = list(environment.requirements)
        if environment.with_this_library:
            requirements.append(f"--editable={ROOT}")
        wanted = "\n".join(requirements)
        if not marker.exists() or marker.read_text() != wanted:
            print(f"environment {environment.name}", file=sys.stderr)
            _run([UV, "venv", "--quiet", "--clear", "--python", self._find_python(), str(folder)])
            _run([UV, "pip", "install", "--quiet", "--python", str(interpreter), *requirements])
            marker.write_text(wanted)
        return interpreter

    def python_version(self) -> str:
        """Return the version of Python in all environments."""
        return _run([self._find_python(), "-c", "import platform; print(platform.python_version())"]).strip()

    def versions(self, environment: Environment) -> dict[str, str]:
        """Return what is installed there, by name."""
        lines = _run([UV, "pip", "freeze", "--python", str(self.python(environment))]).splitlines()
        pairs = (line.partition("==") for line in lines)
        return {name: version for name, _, version in pairs if version}

    def content(self, kind: str, size: int) -> Path:
        """Return a file of so many bytes, of ``random`` bytes or of ``text``."""
        path = self.folder / "content" / f"{kind}-{size}.bin"
        if not path.exists() or path.stat().st_size != size:
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as file:
                for block in random_blocks(size) if kind == "random" else text_blocks(size):
                    file.write(block)
        return path

    def digest(self, kind: str, size: int) -> str:
        """Return the sha256 of that file."""
        if (kind, size) not in self._digests:
            with self.content(kind, size).open("rb") as file:
                self._digests[kind, size] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._digests[kind, size]

    def _find_python(self) -> str:
        self._python = self._python or next(filter(None, map(find_python, PYTHONS)), None)
        if self._python is None:
            raise CannotBuild(f"Python {' or '.join(PYTHONS)} is needed: pg-lo-storage 0.2.2 asks for 3.12 or later")
        return self._python


def random_blocks(size: int) -> Iterable[bytes]:
    """Yield so many bytes, the same each time, that no compression makes smaller."""
    source = random.Random(size)  # noqa: S311 -- no secret
    for start in range(0, size, TEXT_BLOCK):
        yield source.randbytes(min(TEXT_BLOCK, size - start))


def text_blocks(size: int) -> Iterable[bytes]:
    """Yield so many bytes of words; PostgreSQL compresses pages of 2 KB, so that a repeated block gains nothing."""
    source = random.Random(size)  # noqa: S311 -- no secret
    letters = "etaoinshrdlucmfw"
    words = ["".join(source.choices(letters, k=source.randint(2, 10))) for _ in range(2_000)]
    block = " ".join(source.choices(words, k=min(size, TEXT_BLOCK) // 3 + 1)).encode()[:TEXT_BLOCK]
    for start in range(0, size, TEXT_BLOCK):
        yield block[: size - start]


def _run(argv: list[str]) -> str:
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    if result.returncode:
        raise CannotBuild(f"{' '.join(argv)} failed:\n{result.stdout}{result.stderr}")
    return result.stdout
