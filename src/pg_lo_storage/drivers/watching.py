"""Who sees the statements of a connection before they are sent: a framework's query log, for example."""

import threading
from collections.abc import Callable, Sequence
from typing import Final, LiteralString, Protocol, TypeVar

__all__ = ["WATCHING", "Watcher"]

T = TypeVar("T")


class Watcher(Protocol):
    """Shows each statement of one connection to others, which may refuse or change it."""

    def show(
        self,
        connection: object,
        query: LiteralString,
        params: Sequence[object],
        send: Callable[[LiteralString, Sequence[object]], T],
        /,
    ) -> T:
        """Show a statement of that raw connection, and return what ``send`` makes of it.

        Meanwhile nobody watches: ``send`` may be the function that asked for it.
        """
        ...


class _Watching(threading.local):
    watcher: Watcher | None = None


WATCHING: Final = _Watching()
"""Whose ``watcher`` sees what this thread sends; drivers ask it before each statement."""
