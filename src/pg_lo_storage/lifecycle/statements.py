"""Work that is done once, before the next statement of a connection, for whatever asked for it until then."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Protocol
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["Execute", "before_next_statement", "before_update"]

_updates: "WeakKeyDictionary[BaseDatabaseWrapper, list[Callable[[], object]]]" = WeakKeyDictionary()


class Execute(Protocol):
    """What Django's execute wrappers are called with first."""

    def __call__(self, sql: str, params: object, many: bool, context: dict[str, object], /) -> object:
        """Execute the statement."""
        ...


def before_next_statement(
    connection: BaseDatabaseWrapper, action: Callable[[str], AbstractContextManager[None]]
) -> None:
    """Call ``action`` with Django's next statement on the connection, which is executed in the context it gives."""

    def run(execute: Execute, sql: str, params: object, many: bool, context: dict[str, object]) -> object:
        # Removed first: the action has statements of its own.
        connection.execute_wrappers.remove(run)
        with action(sql):
            return execute(sql, params, many, context)

    # Outermost: whoever wraps statements for a block takes his own, the last, off again.
    connection.execute_wrappers.insert(0, run)


def before_update(connection: BaseDatabaseWrapper, action: Callable[[], object]) -> None:
    """Call ``action`` before Django's next statement on the connection, where that is an UPDATE."""
    if connection not in _updates:
        before_next_statement(connection, partial(_before_update, connection))
    _updates.setdefault(connection, []).append(action)


def _before_update(connection: BaseDatabaseWrapper, sql: str) -> AbstractContextManager[None]:
    actions = _updates.pop(connection)
    if sql.startswith("UPDATE "):
        for action in actions:
            action()
    return nullcontext()
