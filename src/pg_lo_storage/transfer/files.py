"""Writing a file on disk whole, or not at all."""

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
    """Yield a new file, which replaces ``path`` if the block succeeds, and is removed otherwise.

    It has the permissions of the file that it replaces.

    :raises FileExistsError: ``path`` is a folder or a device.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        # A folder, or a device such as /dev/null.
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
