"""A small disk for a server, and when it is full."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Final

from example.cluster import Cluster
from tests.fixtures.connections import INSTALLED, open_connection

__all__ = ["NoDisk", "filled", "is_running", "small_disk", "survives"]

_SIZE: Final = "400m"


class NoDisk(Exception):
    """No disk can be mounted here."""


@contextmanager
def small_disk() -> Generator[Path]:
    """Mount a small disk; give its folder.

    :raises NoDisk: that is not allowed here.
    """
    if sys.platform != "linux":
        raise NoDisk("disks are mounted as on Linux")
    folder = Path(tempfile.mkdtemp(prefix="pg-lo-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=1777", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
        if mounted.returncode:
            raise NoDisk(f"no disk can be mounted here: {mounted.stderr.strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)
    finally:
        folder.rmdir()


@contextmanager
def filled(disk: Path, room: int = 0) -> Generator[None]:
    """Leave so many bytes of a disk free, until the block ends."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 18))
    os.truncate(filler, filler.stat().st_size - room)
    try:
        yield
    finally:
        filler.unlink()


def survives(cluster: Cluster) -> bool:
    """Tell whether the server takes connections again, once it does, or has ended."""
    lost: type[Exception] = import_module(INSTALLED[0]).OperationalError
    while is_running(cluster.pid):
        with suppress(lost), closing(open_connection(INSTALLED[0], cluster.dsn("app", "postgres"))):
            return True
        time.sleep(0.005)
    return False


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it ended before the file was opened, or read
        return False
