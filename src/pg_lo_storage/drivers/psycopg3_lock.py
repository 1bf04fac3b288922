"""Refuses a thread that already holds its psycopg connection's lock: it would wait for itself for ever."""

import inspect

import psycopg

__all__ = ["check_no_query_of_this_thread"]


def check_no_query_of_this_thread(connection: psycopg.Connection[object]) -> None:
    """Raise RuntimeError if this thread is the one in a query; called where the connection's lock is taken."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] == "psycopg":
            user = frame.f_locals.get("self")
            if user is connection or getattr(user, "_conn", None) is connection:
                message = (
                    "a large object cannot be used while this thread is in a query on its connection: in a signal"
                    " handler, or in a finaliser that the garbage collector calls, of a forgotten ZipFile for example"
                )
                raise RuntimeError(message)
        frame = frame.f_back
