"""The session for what a filesystem was given: a connection, an alias of Django's, or where to connect."""

import importlib
from collections.abc import Mapping

from pg_lo_storage.contrib.fsspec.dsns import check
from pg_lo_storage.contrib.fsspec.sessions import Connection, ConnectionSession, OwnSession, Session
from pg_lo_storage.exceptions import DriverNotFound

__all__ = ["open_session"]


def _connect(dsn: str, keywords: Mapping[str, str | int]) -> Connection:
    """Connect, in autocommit, by psycopg or else psycopg2.

    :raises DriverNotFound: neither is installed.
    """
    for name in ("psycopg", "psycopg2"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        check(dsn)
        # Keywords take precedence over the dsn, except for the fallback.
        connection = module.connect(dsn, **{"fallback_application_name": "pg-lo-storage", **keywords})
        connection.autocommit = True
        opened: Connection = connection
        return opened
    message = (
        "pglo:// has no driver to connect with: install 'pg-lo-storage[psycopg]' or 'pg-lo-storage[psycopg2]', or pass"
        " connection="
    )
    raise DriverNotFound(message)


def open_session(
    connection: Connection | None, alias: str | None, dsn: str, keywords: Mapping[str, str | int]
) -> Session:
    """Return the session for what is given.

    :raises TypeError: more than one of them is given.
    """
    if sum((connection is not None, alias is not None, bool(dsn or keywords))) > 1:
        message = "pglo:// takes one of connection=, alias=, and dsn= with libpq's keywords"
        raise TypeError(message)
    if connection is not None:
        return ConnectionSession(connection)
    if alias is not None:
        from pg_lo_storage.contrib.fsspec.aliases import DjangoSession  # Django is not needed otherwise

        return DjangoSession(alias)
    return OwnSession(lambda: _connect(dsn, keywords))
