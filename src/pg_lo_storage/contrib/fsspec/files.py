"""The binary files that a filesystem opens: one reads in place, one stores what it was given when it is closed."""

import abc
import errno
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final, NoReturn, SupportsIndex, cast

from typing_extensions import Buffer, override

from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.io.binary import BinaryFile
from pg_lo_storage.io.modes import BinaryMode, parse_mode
from pg_lo_storage.names import parse_name

if TYPE_CHECKING:
    from typing import BinaryIO

    from pg_lo_storage.contrib.fsspec.sessions import Session

    _File = io.IOBase
else:
    _File = object

__all__ = ["PgLoReader", "PgLoWriter", "WholeOrNothing"]

# Bytes of a written file that are kept in memory; more go to a temporary file.
_IN_MEMORY: Final = 4 << 20


class PgLoReader(LargeObjectIO):
    """A large object open for reading.

    If it is opened in a transaction it belongs to that; else each block that it reads is a statement of its own.
    """

    __module__ = "pg_lo_storage.contrib.fsspec"

    def __init__(self, session: "Session", path: str, oid: int) -> None:
        self.path: str = path
        with session.guarded() as driver:
            super().__init__(driver, oid, "rb")
        # All files of a connection share this lock, so that none reads in the middle of another thread's unit.
        self._lock = session.lock

    @property
    @override
    def name(self) -> str:
        """The path, for libraries that ask a file for its name."""
        return self.path

    @override
    def _dealloc_warn(self, source: object, *, stacklevel: int = 2) -> None:
        # No warning: pyarrow and decompressors do not close the files that fsspec opens for them.
        self._abandoned = True


class WholeOrNothing(_File):
    """A file that is stored when it is closed; a ``with`` block that fails stores nothing."""

    @abc.abstractmethod
    def abandon(self) -> None:
        """Have nothing stored when the file is closed; what is written to it, then or later, is dropped."""

    @override
    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        if exc_type is not None:
            self.abandon()
        self.close()


class PgLoWriter(WholeOrNothing, BinaryFile):
    """A file open for writing; when it is closed, it replaces the large object or is appended to it.

    Until then it is in memory, past 4 MB in a temporary file: the program may seek in it, and the database is not
    touched. With ``autocommit=False`` :meth:`commit` stores it, or :meth:`discard` drops it. A ``with`` block that
    fails stores nothing.

    Once it is stored, :attr:`path` is the object's name, also for ``new``.
    """

    __module__ = "pg_lo_storage.contrib.fsspec"

    _abandoned = False
    _opened = False

    def __init__(
        self,
        path: str,
        mode: BinaryMode,
        store: "Callable[[BinaryIO], str]",
        *,
        start: int = 0,
        autocommit: bool = True,
    ) -> None:
        self.path: str = path
        self.autocommit: bool = autocommit
        self._mode = parse_mode(mode)
        self._store = store
        self._start = start
        self._position = start
        self._pid = os.getpid()
        self._stored = False
        self._content: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 -- closed later
        self._opened = True

    @property
    def oid(self) -> int | None:
        """The object's oid; ``None`` before a new one is stored."""
        return parse_name(self.path)

    @property
    @override
    def name(self) -> str:
        """The path."""
        return self.path

    @override
    def read(self, size: SupportsIndex | None = -1, /) -> NoReturn:
        self._check_open()
        raise io.UnsupportedOperation("read")

    @override
    def write(self, data: Buffer, /) -> int:
        """Write all of ``data``; at the end where the mode is ``ab``."""
        self._check_open()
        if self._mode.kind == "a":
            self._content.seek(0, os.SEEK_END)
        else:
            self._content.seek(self._position)
        with memoryview(data) as view:
            size = self._content.write(view)
        self._position = self._start + self._content.tell()
        return size

    @override
    def seek(self, offset: SupportsIndex, whence: int = os.SEEK_SET, /) -> int:
        self._check_open()
        target = offset.__index__()
        if whence == os.SEEK_CUR:
            target += self._position
        elif whence == os.SEEK_END:
            target += self._start + self._content.seek(0, os.SEEK_END)
        elif whence != os.SEEK_SET:
            message = f"whence value {whence} unsupported"
            raise ValueError(message)
        if target < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = target
        return target

    @override
    def tell(self) -> int:
        self._check_open()
        return self._position

    @override
    def truncate(self, size: SupportsIndex | None = None, /) -> int:
        self._check_open()
        length = (self._position if size is None else size.__index__()) - self._start
        if length < 0:
            raise io.UnsupportedOperation("a file opened to append is not truncated")
        end = self._content.seek(0, os.SEEK_END)
        if end < length:
            self._content.seek(length - 1)
            self._content.write(b"\0")
        self._content.truncate(length)
        return self._start + length

    @override
    def flush(self) -> None:
        self._check_open()

    @override
    def close(self) -> None:
        """Close the file and, with ``autocommit``, store it; if that fails, the object stays as it was."""
        if self.closed:
            return
        super().close()
        if self._abandoned:
            self._drop()
        elif self.autocommit:
            self.commit()

    def commit(self) -> None:
        """Store the file, once; closes it where it is open."""
        self.autocommit = False
        self.close()
        if self._stored or self._abandoned or self._content.closed:
            return
        with self._content as content:
            content.seek(0)
            self.path = self._store(cast("BinaryIO", content))
        self._stored = True

    def discard(self) -> None:
        """Drop what was written and not stored; closes the file where it is open."""
        self.abandon()
        self.close()
        self._drop()

    @override
    def abandon(self) -> None:
        self._abandoned = True

    # Bound here: module globals may be gone when the interpreter shuts down.
    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if self._opened and not self.closed and not _is_finalizing():
            self._dealloc_warn(self, stacklevel=3)
            self.close()

    def _dealloc_warn(self, source: object, *, stacklevel: int = 2) -> None:
        # The collector may run inside any query: nothing is stored from it. TextIOWrapper calls this before it closes
        # a forgotten file.
        if not self._abandoned and self._pid == os.getpid():
            message = f"file {self.path!r} was never closed, so that nothing of it is stored: {source!r}"
            warnings.warn(message, ResourceWarning, stacklevel=stacklevel, source=source)
        self._abandoned = True

    def _drop(self) -> None:
        self._content.close()
        self._content = io.BytesIO()

    @override
    def _check_open(self) -> None:
        # A compressor may flush into an abandoned file when it is collected: an error would reach nobody.
        if not self._abandoned:
            super()._check_open()
