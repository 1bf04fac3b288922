"""The files that the demo keeps: those it is given, or some of the repository's and two made for it."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from example.webserver import ROOT

DEFAULT = ("README.md", "LICENSE", "uv.lock", "src/pg_lo_storage/storage/storage.py")
MB = 1024 * 1024
LARGE_SIZE = 64 * MB


@dataclass(frozen=True)
class Source:
    """A file on disk, and what must come back."""

    path: Path
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return cls(path, file.tell(), digest.hexdigest())

    @property
    def label(self) -> str:
        """How the file is called in a table: short, and printable whatever its name."""
        path = self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path.name
        label = "".join(character if character.isprintable() else "?" for character in str(path))
        return label if len(label) <= 40 else f"...{label[-37:]}"

    def part_sha256(self, part: range) -> str:
        """Return the checksum of some of its bytes."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            file.seek(part.start)
            for start in range(part.start, part.stop, MB):
                digest.update(file.read(min(MB, part.stop - start)))
        return digest.hexdigest()


def find_problems(names: Iterable[str]) -> list[str]:
    """Tell of each name that is no readable file why it is not."""
    return [f"{name!r}: {problem}" for name in names if (problem := _problem(name))]


def _problem(name: str) -> str | None:
    path = Path(name)
    if not name:
        return "is no name of a file"
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            return "is a directory"
        if not stat.S_ISREG(kind):  # opening a pipe would wait, and a device may never end
            return "is not a regular file"
        path.open("rb").close()
    except FileNotFoundError:
        return f"no such file (relative names start from {Path.cwd()})"
    except OSError as error:
        return error.strerror or str(error)
    return None


@contextmanager
def default_files() -> Generator[list[Path]]:
    """Give files of the repository, an empty one and a large one, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="pg-lo-demo-") as name:
        empty, large = Path(name, "empty.txt"), Path(name, "random-64-MB.bin")
        empty.touch()
        with large.open("wb") as file:
            for _ in range(LARGE_SIZE // MB):
                file.write(os.urandom(MB))
        yield [*(ROOT / file for file in DEFAULT), empty, large]
