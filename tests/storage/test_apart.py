"""Which files are surely read without any connection, so that what they hold is sent without a wait."""

import io
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import InMemoryUploadedFile, SimpleUploadedFile, TemporaryUploadedFile

from pg_lo_storage.drivers.sources import is_apart

pytestmark = pytest.mark.once

T = TypeVar("T")


class Raw(io.RawIOBase):
    """A file that may be anywhere."""

    def readable(self) -> bool:
        return True


class Shouting(SimpleUploadedFile):
    """A user's class, which may do anything to read."""


def patched(file: T, method: str) -> T:
    vars(file)[method] = list  # what a project may do
    return file


def around_itself() -> object:
    file: File[bytes] = File(None)
    vars(file)["file"] = file
    vars(file)["close"] = list
    return file


def read_before() -> object:
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 -- closed below
    file.read()
    return file


def closed_file(path: Path) -> object:
    with path.open("rb") as file:
        return file


def nothing(_path: Path) -> object:
    file: File[bytes] = File(None)
    return file


APART: dict[str, Callable[[Path], object]] = {
    "a disk": lambda path: path.open("rb"),
    "a disk, to write as well": lambda path: path.open("r+b"),
    "without a buffer": lambda path: path.open("rb", buffering=0),
    "memory": lambda _path: io.BytesIO(),
    "Django's of a disk": lambda path: File(path.open("rb")),
    "Django's of memory": lambda _path: ContentFile(b""),
    "a large upload": lambda _path: TemporaryUploadedFile("a", "", 0, ""),
    "a small upload": lambda _path: InMemoryUploadedFile(io.BytesIO(), None, "a", None, 0, None),
    "a test's upload": lambda _path: SimpleUploadedFile("a", b""),
    "a temporary file": lambda _path: tempfile.NamedTemporaryFile(),  # noqa: SIM115 -- closed below
    "a temporary file that was read": lambda _path: read_before(),
}
NOT_APART: dict[str, Callable[[Path], object]] = {
    "a user's class": lambda _path: Shouting("a", b""),
    "a user's chunks()": lambda _path: patched(File(io.BytesIO()), "chunks"),
    "a user's read()": lambda _path: patched(io.BytesIO(), "read"),
    "a user's read() of a disk": lambda path: patched(path.open("rb"), "read"),
    "a user's read() below": lambda _path: File(patched(io.BytesIO(), "read")),
    "a user's read() of a temporary file": lambda _path: patched(tempfile.NamedTemporaryFile(), "read"),  # noqa: SIM115
    "around itself": lambda _path: around_itself(),
    "a file of another storage": lambda _path: File(io.BufferedReader(Raw())),
    "text": lambda path: path.open("r"),
    "nothing": nothing,
    "a device": lambda _path: Path("/dev/null").open("rb"),  # noqa: SIM115 -- closed below
    "closed": closed_file,
}


@pytest.mark.parametrize("name", [*APART, *NOT_APART])
def test_only_what_is_surely_in_memory_or_on_a_disk_is_apart(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with ExitStack() as stack:
        file = (APART | NOT_APART)[name](path)
        if name != "nothing":
            stack.callback(getattr(file, "close"))  # noqa: B009 -- each has one
        assert is_apart(file) is (name in APART)
