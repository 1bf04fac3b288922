"""Our statements in the eyes of Django: its query log, its ``execute_wrappers``, and whatever looks at its cursors.

They go to the raw connection by the driver's own rules. Where somebody watches, a cursor of the connection runs them,
of whichever class that is, with the driver in the place of its raw cursor. So all that others see or do is Django's.
"""

import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, LiteralString, Protocol, Self, TypeAlias, TypeVar, cast

from django.db import ProgrammingError
from typing_extensions import Buffer

from pg_lo_storage.databases.backends import SET_PATH_ALONE, modules_of, prepare
from pg_lo_storage.drivers.watching import WATCHING

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper

__all__ = ["EXECUTING", "DjangoWatcher", "Execute", "OfDjangosStatements", "are_instrumented", "has_others"]

T = TypeVar("T")

EXECUTING: Final = operator.attrgetter("execute", "_execute", "_execute_with_wrappers")
"""Returns the methods of a class of cursors that run a statement."""


class Execute(Protocol):
    """The first argument of Django's execute wrappers."""

    def __call__(self, sql: str, params: object, many: bool, context: dict[str, object], /) -> object:
        """Execute the statement."""
        ...


ExecuteWrapper: TypeAlias = Callable[[Execute, str, object, bool, dict[str, object]], object]


@functools.lru_cache(100)
def are_instrumented(methods: tuple[object, ...]) -> bool:
    """Tell whether others than Django, and the backends that only set a search path, have a part in the methods."""
    return not all(module.startswith(SET_PATH_ALONE) for module in modules_of(methods))


class OfDjangosStatements:
    """An execute wrapper, from a function, that is shown all statements but this package's own."""

    def __init__(self, function: ExecuteWrapper) -> None:
        self._function = function

    def __call__(self, execute: Execute, sql: str, params: object, many: bool, context: dict[str, object]) -> object:
        """Run a statement, by the function if it is Django's."""
        if isinstance(getattr(context["cursor"], "cursor", None), _Statement):
            return execute(sql, params, many, context)
        return self._function(execute, sql, params, many, context)


def has_others(wrappers: Iterable[object]) -> bool:
    """Tell whether any of the execute wrappers is to see this package's statements."""
    return not all(isinstance(each, OfDjangosStatements) for each in wrappers)


class DjangoWatcher:
    """Runs statements in a cursor of the Django connection, with the driver in the place of the raw cursor."""

    def __init__(self, wrapper: "BaseDatabaseWrapper", cursor: "CursorWrapper | None" = None) -> None:
        self._wrapper = wrapper
        self._cursor: Any = cursor
        self.refusal: BaseException | None = None
        """What a watcher raised in the place of the statement: the server knows nothing of that."""

    def show(
        self,
        connection: object,
        query: LiteralString,
        params: Sequence[object],
        send: Callable[[LiteralString, Sequence[object]], T],
        /,
    ) -> T:
        """See :meth:`Watcher.show`."""
        WATCHING.watcher = None
        try:
            if connection is not self._wrapper.connection:
                return send(query, params)
            return self._show(query, params, send)
        finally:
            WATCHING.watcher = self

    def _show(
        self,
        query: LiteralString,
        params: Sequence[object],
        send: Callable[[LiteralString, Sequence[object]], T],
    ) -> T:
        if self._cursor is None:
            self._cursor = prepare(self._wrapper)
        cursor, statement = self._cursor, _Statement(params, send)
        if not hasattr(cursor, "cursor"):
            return send(query, params)  # a backend's own class, which shows nothing
        statement.cursor, cursor.cursor = cursor.cursor, statement
        try:
            cursor.execute(query, statement.shown)
        except BaseException as error:
            if statement.failure is None:
                self.refusal = error
            # The driver's error is for the driver to explain; what Django makes of it comes after that.
            if statement.failure is None or error.__cause__ is not statement.failure:
                raise
        finally:
            cursor.cursor = statement.cursor
        if statement.failure is not None:
            raise statement.failure
        if not statement.is_sent:
            message = "one of the connection's execute_wrappers did not run a statement of pg_lo_storage"
            raise ProgrammingError(message)
        return cast("T", statement.result)

    def close(self) -> None:
        """Close the cursor."""
        if self._cursor is not None:
            self._cursor.close()


class _Statement:
    """What Django's cursor takes for the raw one: it sends statements by the driver, with the content of files."""

    def __init__(self, params: Sequence[object], send: Callable[[LiteralString, Sequence[object]], object]) -> None:
        self._send = send
        self.shown: tuple[object, ...] = tuple(map(_shown, params))
        # Watchers pass on what they were shown; a text that happens to be the same is not content.
        self._hidden = {id(shown): value for shown, value in zip(self.shown, params, strict=True)}
        self.cursor: Any = None
        self.is_sent = False
        self.failure: BaseException | None = None
        self.result: object = []
        self._sent: tuple[str, Sequence[object]] = ("", ())

    def execute(self, query: LiteralString, params: Iterable[object] | None = None) -> None:
        """Send a statement."""
        shown = tuple(params or ())
        self._sent, self.is_sent, self.failure = (query, shown), True, None
        try:
            self.result = self._send(query, [self._hidden.get(id(value), value) for value in shown])
        except BaseException as error:
            self.failure = error
            raise

    @property
    def query(self) -> bytes:
        """The statement with its values, where Django looks for what psycopg2's cursors sent."""
        try:
            text: str | bytes = self.cursor.mogrify(*self._sent)
        except Exception:  # noqa: BLE001 -- of values that have no encoding, or of a lost connection
            text = self._sent[0]
        return text.encode() if isinstance(text, str) else text

    @property
    def _query(self) -> Self:  # where Django looks for what psycopg's did
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)


def _shown(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{memoryview(cast('Buffer', value)).nbytes:,} bytes>"
    return value
