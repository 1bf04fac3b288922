"""Whole files in one call, on a connection as the driver made it; awaited where the connection is asynchronous.

These are the functions of the package itself: ``pg_lo_storage.open``, ``save``, ``load``, ``copy``, ``lo_export`` and
``lo_import``. The connection is psycopg's, psycopg2's, or any that a driver was registered for.

Each call is all or nothing. In autocommit it is a transaction of its own: if it fails, or is cancelled, it leaves
nothing. Otherwise it belongs to the connection's transaction, which it begins if need be, and which you commit; if it
fails there, it unlinks the object that it began. Calls of several tasks or threads on one connection take turns, so
that none gets into the transaction of another.

:raises LargeObjectError: see :mod:`pg_lo_storage.exceptions`.
:raises DriverNotFound: no driver serves the connection.
"""
# ruff: noqa: A001 -- open() is to be called as pg_lo_storage.open()

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Literal, Protocol, TypeAlias, cast, overload

from pg_lo_storage.aio.base import AsyncLargeObjectDriver
from pg_lo_storage.aio.io import AsyncLargeObjectIO
from pg_lo_storage.aio.registry import find_async_driver, get_async_driver
from pg_lo_storage.drivers.base import LargeObjectDriver
from pg_lo_storage.drivers.registry import get_driver
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.io.modes import BinaryMode
from pg_lo_storage.transfer import asynchronous, blocking
from pg_lo_storage.transfer.content import AsyncContent, Content
from pg_lo_storage.transfer.files import StrPath
from pg_lo_storage.transfer.saved import Saved
from pg_lo_storage.transfer.turns import in_turn, in_turn_of_threads

__all__ = ["Saved", "copy", "lo_export", "lo_import", "load", "open", "save"]

Progress: TypeAlias = Callable[[int, int], object]

_Save: TypeAlias = Callable[[LargeObjectDriver, Content], int | Saved]
_AsyncSave: TypeAlias = Callable[[AsyncLargeObjectDriver, AsyncContent], Coroutine[object, object, int | Saved]]


class Connection(Protocol):
    """A connection whose calls return when they are done."""

    def close(self) -> None:
        """Close it."""
        ...


class AsyncConnection(Protocol):
    """A connection whose calls are awaited."""

    def close(self) -> Awaitable[None]:
        """Close it."""
        ...


@overload
def open(connection: Connection, oid: int = 0, mode: BinaryMode = "rb") -> LargeObjectIO: ...
@overload
def open(connection: AsyncConnection, oid: int = 0, mode: BinaryMode = "rb") -> AsyncLargeObjectIO: ...
def open(
    connection: Connection | AsyncConnection, oid: int = 0, mode: BinaryMode = "rb"
) -> LargeObjectIO | AsyncLargeObjectIO:
    """Open a large object as a binary file: :class:`LargeObjectIO`, or :class:`AsyncLargeObjectIO`.

    The latter is opened by ``async with pg_lo_storage.open(...) as file:`` or ``await pg_lo_storage.open(...)``.
    """
    if (driver := _async_driver(connection)) is not None:
        return AsyncLargeObjectIO(driver, oid, mode)
    return LargeObjectIO(get_driver(connection), oid, mode)


@overload
def save(connection: Connection, content: Content, *, digest: Literal[False] = False) -> int: ...
@overload
def save(connection: Connection, content: Content, *, digest: Literal[True]) -> Saved: ...
@overload
def save(connection: Connection, content: Content, *, digest: bool) -> int | Saved: ...
@overload
def save(
    connection: AsyncConnection, content: AsyncContent, *, digest: Literal[False] = False
) -> Coroutine[object, object, int]: ...
@overload
def save(
    connection: AsyncConnection, content: AsyncContent, *, digest: Literal[True]
) -> Coroutine[object, object, Saved]: ...
@overload
def save(
    connection: AsyncConnection, content: AsyncContent, *, digest: bool
) -> Coroutine[object, object, int | Saved]: ...
def save(
    connection: Connection | AsyncConnection, content: Content | AsyncContent, *, digest: bool = False
) -> int | Saved | Coroutine[object, object, int | Saved]:
    """Create a large object with that content and return its oid; with ``digest`` its oid, size and SHA-256.

    The content is bytes, a binary file, which is read from its position, or an iterable of bytes. On an asynchronous
    connection it may also be an asynchronous iterable, or a file whose ``read`` is awaited; other files are read in a
    thread there. Saving takes memory for about two blocks of 1 MB, and with ``digest``, which a thread makes meanwhile,
    for up to five more.

    :raises TypeError: the content is text.
    """
    if (driver := _async_driver(connection)) is not None:
        awaited: _AsyncSave = asynchronous.save_with_digest if digest else asynchronous.save
        return in_turn(connection, driver, partial(awaited, driver, content))
    blocking_driver = get_driver(connection)
    called: _Save = blocking.save_with_digest if digest else blocking.save
    return in_turn_of_threads(connection, blocking_driver, partial(called, blocking_driver, cast("Content", content)))


@overload
def load(connection: Connection, oid: int) -> bytes: ...
@overload
def load(connection: AsyncConnection, oid: int) -> Coroutine[object, object, bytes]: ...
def load(connection: Connection | AsyncConnection, oid: int) -> bytes | Coroutine[object, object, bytes]:
    """Return a large object's whole content, as it was at one moment."""
    if (driver := _async_driver(connection)) is not None:
        return in_turn(connection, driver, partial(asynchronous.load, driver, oid))
    blocking_driver = get_driver(connection)
    return in_turn_of_threads(connection, blocking_driver, partial(blocking.load, blocking_driver, oid))


@overload
def copy(connection: Connection, oid: int) -> int: ...
@overload
def copy(connection: AsyncConnection, oid: int) -> Coroutine[object, object, int]: ...
def copy(connection: Connection | AsyncConnection, oid: int) -> int | Coroutine[object, object, int]:
    """Create a large object with the content that another has at this moment, and return its oid.

    The bytes stay in the server, which copies them in steps of 16 MiB; a block of 64 KiB that is all zeros takes no
    space in the copy. (A driver that is no :class:`SQLDriver` copies through the client.)
    """
    if (driver := _async_driver(connection)) is not None:
        return in_turn(connection, driver, partial(asynchronous.copy, driver, oid))
    blocking_driver = get_driver(connection)
    return in_turn_of_threads(connection, blocking_driver, partial(blocking.copy, blocking_driver, oid))


@overload
def lo_export(connection: Connection, oid: int, path: StrPath, *, progress: Progress | None = None) -> int: ...
@overload
def lo_export(
    connection: AsyncConnection, oid: int, path: StrPath, *, progress: Progress | None = None
) -> Coroutine[object, object, int]: ...
def lo_export(
    connection: Connection | AsyncConnection, oid: int, path: StrPath, *, progress: Progress | None = None
) -> int | Coroutine[object, object, int]:
    """Write a large object, as it is at one moment, to a file of this machine; return its size in bytes.

    A file of that name is replaced once all is written; a call that fails leaves it as it was.
    ``progress(done, total)`` is called after each block, with bytes.

    :raises FileExistsError: ``path`` is a folder or a device.
    """
    if (driver := _async_driver(connection)) is not None:
        return in_turn(connection, driver, partial(asynchronous.lo_export, driver, oid, path, progress))
    blocking_driver = get_driver(connection)
    return in_turn_of_threads(
        connection, blocking_driver, partial(blocking.lo_export, blocking_driver, oid, path, progress)
    )


@overload
def lo_import(
    connection: Connection, path: StrPath, *, progress: Progress | None = None, digest: Literal[False] = False
) -> int: ...
@overload
def lo_import(
    connection: Connection, path: StrPath, *, progress: Progress | None = None, digest: Literal[True]
) -> Saved: ...
@overload
def lo_import(
    connection: Connection, path: StrPath, *, progress: Progress | None = None, digest: bool
) -> int | Saved: ...
@overload
def lo_import(
    connection: AsyncConnection, path: StrPath, *, progress: Progress | None = None, digest: Literal[False] = False
) -> Coroutine[object, object, int]: ...
@overload
def lo_import(
    connection: AsyncConnection, path: StrPath, *, progress: Progress | None = None, digest: Literal[True]
) -> Coroutine[object, object, Saved]: ...
@overload
def lo_import(
    connection: AsyncConnection, path: StrPath, *, progress: Progress | None = None, digest: bool
) -> Coroutine[object, object, int | Saved]: ...
def lo_import(
    connection: Connection | AsyncConnection,
    path: StrPath,
    *,
    progress: Progress | None = None,
    digest: bool = False,
) -> int | Saved | Coroutine[object, object, int | Saved]:
    """Create a large object from a file of this machine and return its oid; with ``digest`` as :func:`save` does.

    ``progress(done, total)`` is called after each block, with bytes.
    """
    if (driver := _async_driver(connection)) is not None:
        awaited: _AsyncSave = asynchronous.save_with_digest if digest else asynchronous.save
        return in_turn(connection, driver, partial(asynchronous.lo_import, driver, path, progress, awaited))
    blocking_driver = get_driver(connection)
    called: _Save = blocking.save_with_digest if digest else blocking.save
    return in_turn_of_threads(
        connection, blocking_driver, partial(blocking.lo_import, blocking_driver, path, progress, called)
    )


def _async_driver(connection: object) -> AsyncLargeObjectDriver | None:
    driver = find_async_driver(connection)
    if driver is None and inspect.iscoroutinefunction(getattr(connection, "close", None)):
        return get_async_driver(connection)  # which says what is missing
    return driver
