"""Runs work once, just before a connection's next statement."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Final, cast
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from pg_lo_storage.databases.watching import Execute, OfDjangosStatements

__all__ = ["before_next_statement", "before_update", "repeating_update_of"]

# Of a view, an UPDATE may find what can never be locked.
_LOOKS: Final = 20

_updates: "WeakKeyDictionary[BaseDatabaseWrapper, list[Callable[[], object]]]" = WeakKeyDictionary()


def before_next_statement(
    connection: BaseDatabaseWrapper, action: Callable[[str, object], AbstractContextManager[None]]
) -> None:
    """Call ``action`` with Django's next statement on the connection, and its parameters.

    The statement is executed in the context manager that ``action`` returns.
    """

    @OfDjangosStatements
    def run(execute: Execute, sql: str, params: object, many: bool, context: dict[str, object]) -> object:
        # Removed first: the action has statements of its own.
        connection.execute_wrappers.remove(run)
        with action(sql, params):
            return execute(sql, params, many, context)

    # Outermost: whoever wraps statements for a block takes the last wrapper off again.
    connection.execute_wrappers.insert(0, run)


# Both are for Django before 5.2.4 (fields/following.py).
def before_update(connection: BaseDatabaseWrapper, action: Callable[[], object]) -> None:  # pragma: no cover
    """Call ``action`` before Django's next statement on the connection, where that is an UPDATE."""
    if connection not in _updates:
        before_next_statement(connection, partial(_before_update, connection))
    _updates.setdefault(connection, []).append(action)


def _before_update(  # pragma: no cover
    connection: BaseDatabaseWrapper, sql: str, _params: object
) -> AbstractContextManager[None]:
    actions = _updates.pop(connection)
    if sql.startswith("UPDATE "):
        for action in actions:
            action()
    return nullcontext()


@contextmanager
def repeating_update_of(
    connection: BaseDatabaseWrapper, table: str, look_again: Callable[[], object]
) -> Generator[None]:
    """Where an UPDATE of the table finds a row that an earlier look did not, look again, and repeat the UPDATE.

    Another session has inserted the row meanwhile. What it had can be seen only before it is changed. ``look_again``
    locks the row; it returns ``None`` where the row was deleted by then, and may be inserted once more.
    """

    @OfDjangosStatements
    def run(execute: Execute, sql: str, params: object, many: bool, context: dict[str, object]) -> object:
        if not sql.startswith(f"UPDATE {connection.ops.quote_name(table)} "):
            return execute(sql, params, many, context)
        connection.execute_wrappers.remove(run)
        for _ in range(_LOOKS):
            savepoint = cast("str", connection.savepoint())  # there is a transaction
            result = execute(sql, params, many, context)
            if cast("CursorWrapper", context["cursor"]).rowcount <= 0:
                connection.savepoint_commit(savepoint)
                return result
            connection.savepoint_rollback(savepoint)
            if look_again() is not None:
                break
        return execute(sql, params, many, context)

    connection.execute_wrappers.insert(0, run)
    try:
        yield
    finally:
        if run in connection.execute_wrappers:
            connection.execute_wrappers.remove(run)
