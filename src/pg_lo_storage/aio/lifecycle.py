"""The life of an asynchronous file: opened, used by one task at a time, stale, closed."""

import io
import operator
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self, SupportsIndex

from typing_extensions import override

from pg_lo_storage.aio.buffered import AsyncBufferedLargeObject
from pg_lo_storage.aio.opening import open_large_object
from pg_lo_storage.exceptions import StaleLargeObject
from pg_lo_storage.io.lifetime import over
from pg_lo_storage.io.modes import BinaryMode, parse_mode

if TYPE_CHECKING:
    from pg_lo_storage.aio.base import AsyncLargeObject, AsyncLargeObjectDriver

__all__ = ["AsyncOpenFile"]


class AsyncOpenFile:
    """All of :class:`AsyncLargeObjectIO` except reading and writing."""

    def __init__(self, driver: "AsyncLargeObjectDriver", oid: SupportsIndex = 0, mode: BinaryMode = "rb") -> None:
        self._mode = parse_mode(mode)
        self._driver = driver
        self._oid = operator.index(oid)
        self._mode.check_oid(self._oid)
        self._opened: AsyncBufferedLargeObject | None = None
        self._closed = False
        self._busy = False
        self._interrupted = False

    def __await__(self) -> Generator[object, None, Self]:
        return self._open().__await__()

    async def __aenter__(self) -> Self:
        return await self._open()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def oid(self) -> int:
        """The large object's oid; 0 where it is yet to be created."""
        return self._oid

    @property
    def name(self) -> str:
        """The oid as a string."""
        return str(self._oid)

    @property
    def mode(self) -> BinaryMode:
        """The mode, spelled as by CPython's files: a file opened by ``wb+`` says ``rb+``."""
        return self._mode.reported

    @property
    def closed(self) -> bool:
        """Whether the file was closed."""
        return self._closed

    @override
    def __repr__(self) -> str:
        state = " closed" if self._closed else "" if self._opened else " not opened"
        return f"<{type(self).__module__}.{type(self).__qualname__} oid={self._oid} mode={self.mode!r}{state}>"

    def readable(self) -> bool:
        """Return whether the mode allows reading."""
        self._check_open()
        return self._mode.readable

    def writable(self) -> bool:
        """Return whether the mode allows writing."""
        self._check_open()
        return self._mode.writable

    def seekable(self) -> bool:
        """Return True."""
        self._check_open()
        return True

    async def close(self) -> None:
        """Release the descriptor; does nothing the second time, and never hides an error that is in flight."""
        if self._closed:
            return
        in_flight = sys.exception()
        try:
            self._check_idle()
        except RuntimeError as error:
            if in_flight is None:
                raise
            self._closed = True  # the end of the transaction releases the descriptor
            in_flight.add_note(f"closing {self!r} failed as well: {error}")
            return
        self._closed = True
        if self._opened is None:
            return
        descriptor, self._opened.descriptor = self._opened.descriptor, None
        self._opened.drop()
        if descriptor is None:
            return
        try:
            await descriptor.close()
        except Exception as error:
            # Everything written is at the server already: only the error in flight could be lost.
            if in_flight is None:
                raise
            in_flight.add_note(f"closing {self!r} failed as well: {error}")

    # Bound here: module globals may be gone when the interpreter shuts down.
    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if getattr(self, "_opened", None) is not None and not self._closed and not _is_finalizing():
            warnings.warn(f"unclosed file {self!r}", ResourceWarning, stacklevel=2, source=self)

    @override
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        message = f"cannot pickle {type(self).__name__!r} object"
        raise TypeError(message)

    async def _open(self) -> Self:
        self._check_open()
        if self._opened is None:
            with self._exclusively():
                oid, descriptor = await open_large_object(self._driver, self._oid, self._mode)
                opened = AsyncBufferedLargeObject(self._driver, oid, descriptor)
                if self._mode.kind == "a":
                    opened.position = await opened.end()
                self._oid, self._opened = oid, opened
        return self

    def _check_open(self) -> None:
        if self._closed:
            message = "I/O operation on closed file"
            raise ValueError(message)

    def _check_idle(self) -> None:
        if self._busy:
            message = f"another task is using the file of large object {self._oid}: a file is for one task at a time"
            raise RuntimeError(message)

    @contextmanager
    def _exclusively(self) -> Generator[None]:
        self._check_idle()
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    @contextmanager
    def _use(self) -> Generator[AsyncBufferedLargeObject]:
        """Yield the open object, for this task alone.

        :raises ValueError: the file is closed, or not open yet.
        :raises StaleLargeObject: the file is known to be stale; the server is not asked.
        """
        self._check_open()
        if self._opened is None:
            message = "I/O operation on a file that is not open yet: open it by 'async with file:' or 'await file'"
            raise ValueError(message)
        if self._interrupted:
            message = (
                f"a change of large object {self._oid} was cancelled, and how much of it was made is not known:"
                " roll back, or open it again and look"
            )
            raise StaleLargeObject(message, oid=self._oid)
        if self._opened.descriptor is not None and not self._driver.in_transaction:
            raise over(self._oid)
        with self._exclusively():
            yield self._opened

    @contextmanager
    def _reading(self, operation: str) -> Generator[AsyncBufferedLargeObject]:
        with self._use() as opened:
            if not self._mode.readable:
                raise io.UnsupportedOperation(operation)
            position = opened.position
            try:
                yield opened
            except BaseException:
                opened.seek(position)
                raise

    @contextmanager
    def _changing(self, operation: str) -> "Generator[tuple[AsyncBufferedLargeObject, AsyncLargeObject]]":
        with self._use() as opened:
            if not self._mode.writable or (descriptor := opened.descriptor) is None:
                raise io.UnsupportedOperation(operation)
            try:
                yield opened, descriptor
            except Exception:
                raise
            except BaseException:
                self._interrupted = True
                raise
