"""The life of an open file: its mode, how long it is valid, and how it is closed or forgotten."""

import io
import operator
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, SupportsIndex

from typing_extensions import override

from pg_lo_storage.exceptions import StaleLargeObject
from pg_lo_storage.io.binary import BinaryFile
from pg_lo_storage.io.buffered import BufferedLargeObject
from pg_lo_storage.io.lifetime import Lifetime, OfTransaction
from pg_lo_storage.io.modes import BinaryMode, Mode, parse_mode
from pg_lo_storage.io.opening import open_large_object

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObject, LargeObjectDriver

__all__ = ["OpenFile"]


class OpenFile(BinaryFile):
    """All of :class:`LargeObjectIO` except reading and writing."""

    _opened = False
    _abandoned = False

    def __init__(self, driver: "LargeObjectDriver", oid: SupportsIndex = 0, mode: BinaryMode = "rb") -> None:
        self._open(driver, operator.index(oid), parse_mode(mode))

    def _open(self, driver: "LargeObjectDriver", oid: int, mode: Mode) -> None:
        oid, descriptor = open_large_object(driver, oid, mode)
        opened = BufferedLargeObject(driver, oid, descriptor)
        if mode.kind == "a":
            opened.moved(opened.end())
        self._set_up(oid, mode, opened, Lifetime() if descriptor is None else OfTransaction(driver, oid))

    def _set_up(self, oid: int, mode: Mode, opened: BufferedLargeObject, lifetime: Lifetime) -> None:
        self._mode = mode
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._oid = oid
        self._object = opened
        self._lifetime = lifetime
        self._opened = True

    @property
    def oid(self) -> int:
        """The large object's oid."""
        return self._oid

    @property
    @override
    def name(self) -> str:
        """The oid as a string, for libraries that ask a file for its name."""
        return str(self._oid)

    @override
    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return f"<{type(self).__module__}.{type(self).__qualname__} oid={self._oid} mode={self.mode!r}{state}>"

    @override
    def close(self) -> None:
        if self.closed:
            return
        super().close()
        descriptor, self._object.descriptor = self._object.descriptor, None
        self._object.drop()
        if descriptor is None or self._abandoned or self._pid != os.getpid():
            return
        in_flight = sys.exception()
        try:
            descriptor.close()
        except Exception as error:
            # Everything written is at the server already: only the error in flight could be lost.
            if in_flight is None:
                raise
            in_flight.add_note(f"closing {self!r} failed as well: {error}")

    # Bound here: module globals may be gone when the interpreter shuts down.
    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        forgotten = self._opened and not self.closed and not self._abandoned
        if forgotten and not _is_finalizing() and self._pid == os.getpid():
            self._dealloc_warn(self, stacklevel=3)

    def _dealloc_warn(self, source: object, *, stacklevel: int = 2) -> None:
        # The collector may run inside any query: from here on nothing reaches the database. BufferedReader,
        # BufferedWriter and TextIOWrapper call this before they flush and close a forgotten file.
        if self._abandoned:
            return
        self._abandoned = True
        if self._pid != os.getpid():
            return  # a child process leaves the file, and its pending bytes, to the parent
        warnings.warn(f"unclosed file {source!r}", ResourceWarning, stacklevel=stacklevel, source=source)

    def _check(self) -> None:
        """Raise ValueError if the file is closed, StaleLargeObject if its lifetime is over."""
        if self.closed:
            self._check_open()
        if self._abandoned:
            return
        if self._pid != os.getpid():
            message = f"large object {self._oid} was opened by another process: open it again in this one"
            raise StaleLargeObject(message, oid=self._oid)
        self._lifetime.check()

    def _check_readable(self, operation: str) -> None:
        self._check()
        if not self._mode.readable:
            raise io.UnsupportedOperation(operation)

    def _check_writable(self, operation: str) -> "LargeObject":
        self._check()
        if not self._mode.writable or (descriptor := self._object.descriptor) is None:
            raise io.UnsupportedOperation(operation)
        return descriptor
