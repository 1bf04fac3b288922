"""How many bytes of files are read and written over Django's connections, and how long that takes, for who asks.

Until somebody asks it costs nothing: only then the methods that content passes are replaced by others that measure.
"""

import functools
import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final, Literal, Protocol, TypeAlias, cast

from typing_extensions import Buffer

from pg_lo_storage.databases.descriptor import DatabaseLargeObject, StreamingDatabaseLargeObject
from pg_lo_storage.databases.driver import DatabaseDriver
from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.queries import Rows, Statement

__all__ = ["Observer", "Operation", "observe"]

Operation: TypeAlias = Literal["read", "write"]


class Observer(Protocol):
    """Told of each call that has read or written content: the alias, how many bytes, and the seconds that it took."""

    def __call__(self, alias: str, operation: Operation, size: int, seconds: float, /) -> None:
        """Take note of it, in any thread; an exception is logged."""
        ...


class _Thread(threading.local):
    told: int = 0
    """How many calls the observers were told of: what a call inside has told, the one around it does not tell again."""


_logger: Final = logging.getLogger("pg_lo_storage")
_thread: Final = _Thread()
_lock: Final = threading.Lock()
_observers: tuple[Observer, ...] = ()


def observe(observer: Observer) -> Callable[[], None]:
    """Tell the observer of all that is read and written from now on, until the function is called that this returns."""
    registered = functools.partial(observer)  # of its own, should the observer come twice
    with _lock:
        _replace((*_observers, registered))

    def stop() -> None:
        with _lock:
            _replace(tuple(each for each in _observers if each is not registered))

    return stop


def _replace(observers: tuple[Observer, ...]) -> None:
    global _observers  # noqa: PLW0603 -- the methods of the classes are the process's, too
    _observers = observers
    for (kind, name), measured in _MEASURED.items():
        setattr(kind, name, measured if observers else measured.__wrapped__)


def _tell(of: Any, operation: Operation, size: int, seconds: float) -> None:
    _thread.told += 1
    alias = of.alias if isinstance(of, DatabaseDriver) else of._wrapper.alias  # noqa: SLF001 -- of the same package
    for observer in _observers:
        try:
            observer(alias, operation, size, seconds)
        except Exception:
            # What was written is written: its caller must come to know.
            _logger.exception("a measurement of files is lost")


def _measured(method: Any, operation: Operation, size_of: Callable[..., int]) -> Any:
    """Return the method, measured; ``size_of`` takes its result, and its arguments."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def measured(self: Any, *args: Any, **options: Any) -> Any:
        if options:
            args = signature.bind(self, *args, **options).args[1:]
        since = time.perf_counter()
        result = method(self, *args)
        _tell(self, operation, size_of(result, *args), time.perf_counter() - since)
        return result

    return measured


def _measured_chunks(method: Any) -> Any:
    @functools.wraps(method)
    def chunks(self: Any, size: int, count: int | None = None) -> Iterator[bytes]:
        blocks = method(self, size, count)
        while True:
            since = time.perf_counter()
            block = next(blocks, None)
            if block is None:
                return
            _tell(self, "read", len(block), time.perf_counter() - since)
            yield block

    return chunks


def _measured_write_all(method: Any) -> Any:
    @functools.wraps(method)
    def write_all(self: Any, blocks: Iterable[Buffer], *args: Any, **options: Any) -> int:
        given, waited, since = iter(blocks), 0.0, time.perf_counter()

        def timed() -> Iterator[Buffer]:
            nonlocal waited
            while True:
                began = time.perf_counter()
                block = next(given, None)
                waited += time.perf_counter() - began
                if block is None:
                    return
                yield block

        written = int(method(self, timed(), *args, **options))
        # Where the blocks come from may be slow.
        _tell(self, "write", written, time.perf_counter() - since - waited)
        return written

    return write_all


def _measured_perform(method: Any) -> Any:
    @functools.wraps(method)
    def perform(self: Any, statement: Statement[Any], without_sql: Callable[[], Any] | None = None) -> Any:
        since, found = time.perf_counter(), list[Rows]()

        def result(rows: Rows) -> Any:
            found.append(rows)
            return statement.result(rows)

        made = method(self, replace(statement, result=result), without_sql)
        seconds = time.perf_counter() - since
        for rows in found:
            if sizes := _sizes(statement.params):
                _tell(self, "write", sum(sizes), seconds)
            if sizes := [size for row in rows for size in _sizes(row)]:
                _tell(self, "read", sum(sizes), seconds)
        return made

    return perform


def _measured_perform_streaming(method: Any) -> Any:
    @functools.wraps(method)
    def perform_streaming(self: Any, statement: Statement[Any], sink: Sink, without_sql: Callable[[], Any]) -> Any:
        told, since, sizes = _thread.told, time.perf_counter(), list[int]()

        def counting(block: Buffer) -> None:
            sizes.append(_size(block))
            sink(block)

        made = method(self, statement, counting, without_sql)
        if sizes and _thread.told == told:
            _tell(self, "read", sum(sizes), time.perf_counter() - since)
        return made

    return perform_streaming


def _size(data: Buffer) -> int:
    return memoryview(data).nbytes


def _sizes(values: Iterable[object]) -> list[int]:
    """Return the sizes of those that are content: all others are numbers and texts."""
    return [_size(cast("Buffer", value)) for value in values if isinstance(value, bytes | bytearray | memoryview)]


def _length(result: Any, *_args: object) -> int:
    return len(result)


def _result(result: Any, *_args: object) -> int:
    return int(result)


def _last(_result: object, *args: Any) -> int:
    return _size(args[-1])


_MEASURED: Final[dict[tuple[type, str], Any]] = {
    (DatabaseDriver, "from_bytes"): _measured(DatabaseDriver.from_bytes, "write", _last),
    (DatabaseDriver, "get"): _measured(DatabaseDriver.get, "read", _length),
    (DatabaseDriver, "put"): _measured(DatabaseDriver.put, "write", _last),
    (DatabaseDriver, "stream"): _measured(DatabaseDriver.stream, "read", _result),
    (DatabaseDriver, "perform"): _measured_perform(DatabaseDriver.perform),
    (DatabaseDriver, "perform_streaming"): _measured_perform_streaming(DatabaseDriver.perform_streaming),
    (DatabaseLargeObject, "read"): _measured(DatabaseLargeObject.read, "read", _length),
    (DatabaseLargeObject, "chunks"): _measured_chunks(DatabaseLargeObject.chunks),
    (DatabaseLargeObject, "write"): _measured(DatabaseLargeObject.write, "write", _result),
    (DatabaseLargeObject, "write_all"): _measured_write_all(DatabaseLargeObject.write_all),
    (DatabaseLargeObject, "write_through"): _measured_write_all(DatabaseLargeObject.write_through),
    (StreamingDatabaseLargeObject, "stream"): _measured(StreamingDatabaseLargeObject.stream, "read", _result),
}
