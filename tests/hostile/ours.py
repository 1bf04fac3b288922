"""Telling the package's statements from Django's, to have the first alone find what strangers made."""

import inspect
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper

import pg_lo_storage
from pg_lo_storage.drivers import get_driver

PACKAGE = str(Path(pg_lo_storage.__file__).parent)


class Ours:
    """The statements that the package sends on Django's connection; Django's own are left alone.

    They are recorded, and each is sent with the schemas ``after`` added to the search path ``home``. Whose a statement
    is the caller of ``cursor.execute`` tells, or of a schema editor's.
    """

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.home = "public"
        self.after = ""

    @contextmanager
    def sending(self, query: str) -> Generator[None]:
        """Record the statement, and change the path for it."""
        self.statements.append(query)
        if not self.after:
            yield
            return
        self._set(self.home + self.after)
        yield  # where it raises the test has failed
        self._set(self.home)

    def stay(self, home: str) -> None:
        """Have another search path for all that follows."""
        self.home = home
        self._set(home)

    def _set(self, path: str) -> None:
        raw: Any = connection.connection
        with raw.cursor() as cursor:
            cursor.execute(f"set search_path = {path}")


@contextmanager
def ours() -> Generator[Ours]:
    """Record the package's statements in the block."""
    found = Ours()
    connection.ensure_connection()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", _by_cursors(CursorWrapper.execute, found))
        driver_class: Any = type(get_driver(connection.connection))
        patch.setattr(driver_class, "execute", _by_drivers(driver_class.execute, found))
        try:
            yield found
        finally:
            connection.close()


def _by_cursors(execute: Callable[..., Any], found: Ours) -> Callable[..., Any]:
    def send(self: CursorWrapper, query: str, params: Sequence[object] | None = None) -> Any:
        # Of a lobject's calls libpq makes its own statement, once a connection.
        if not _is_ours(inspect.currentframe()) or "lobject" in query:
            return execute(self, query, params)
        with found.sending(query):
            return execute(self, query, params)

    return send


def _by_drivers(execute: Callable[..., Any], found: Ours) -> Callable[..., Any]:
    def send(self: object, query: str, params: Sequence[object] = ()) -> Any:
        with found.sending(query):
            return execute(self, query, params)

    return send


def _is_ours(frame: FrameType | None) -> bool:
    """Tell it of the frame that took the place of ``cursor.execute``."""
    frame = frame and frame.f_back
    while frame and frame.f_code.co_name == "execute" and frame.f_code.co_filename.endswith("schema.py"):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(PACKAGE)
