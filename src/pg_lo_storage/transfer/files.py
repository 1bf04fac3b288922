"""A file on disk that is there whole, or not at all."""

import errno
import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

__all__ = ["StrPath", "replacing"]

StrPath: TypeAlias = "str | os.PathLike[str]"
"""A path, as :func:`open` takes it."""


@contextmanager
def replacing(path: StrPath) -> Generator[BinaryIO]:
    """Write a file beside ``path`` that takes its place when the block ends well, and is removed otherwise.

    Where it replaces a file it has that one's permissions.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        # A folder, and what must never be replaced by a file: /dev/null.
        raise FileExistsError(errno.EEXIST, "exists, and is not a file to be replaced", str(path))
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            if target.exists():
                shutil.copymode(target, temporary)
            yield file
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
