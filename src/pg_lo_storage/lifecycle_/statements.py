"""Work that is done once, before the next statement of a connection, for whatever asked for it until then."""

from collections.abc import Callable
from typing import Protocol

from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["before_next_statement"]


class _Execute(Protocol):
    def __call__(self, sql: str, params: object, many: bool, context: dict[str, object], /) -> object: ...


def before_next_statement(connection: BaseDatabaseWrapper, action: Callable[[], None]) -> None:
    """Call ``action`` when Django is about to execute its next statement on the connection."""

    def run(execute: _Execute, sql: str, params: object, many: bool, context: dict[str, object]) -> object:
        # Removed first: the action has statements of its own.
        connection.execute_wrappers.remove(run)
        action()
        return execute(sql, params, many, context)

    # Innermost: whoever wraps statements for a block takes his own, the last, off again.
    connection.execute_wrappers.insert(0, run)
