"""``python -m pg_lo_storage``: what a bug report needs to know, without passwords.

It changes nothing, and waits a few seconds at most for a server. What fails becomes a line of the report: the error's
class and SQLSTATE. The error's message is left out: it may quote a connection string, or a part of one.
"""

import argparse
import importlib
import importlib.metadata
import importlib.util
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Final, NoReturn, TypeAlias

from typing_extensions import override

from pg_lo_storage import triggers
from pg_lo_storage.drivers import DriverFactory, get_driver
from pg_lo_storage.drivers.qualified import qualified
from pg_lo_storage.drivers.registry import load_factory, sources
from pg_lo_storage.exceptions import DriverNotFound

Line: TypeAlias = tuple[str, object]

SERVER: Final = """
    select current_setting('server_version'), pg_is_in_recovery() or current_setting('transaction_read_only')::bool,
           coalesce((select 'lz4' = any (enumvals) from pg_settings where name = 'default_toast_compression'), false),
           (select rolsuper from pg_roles where rolname = current_user),
           has_function_privilege('pg_catalog.lo_create(pg_catalog.oid)', 'execute')
               and has_function_privilege('pg_catalog.lo_from_bytea(pg_catalog.oid, pg_catalog.bytea)', 'execute'),
           has_table_privilege('pg_catalog.pg_largeobject_metadata', 'select')
"""
FACTS: Final = (
    "has lz4",
    "role is superuser",
    "role may create large objects",
    "role may read pg_largeobject_metadata",
)


def versions() -> Iterator[Line]:
    """Yield what is installed."""
    found = importlib.metadata.distributions(name="pg-lo-storage")
    yield "pg_lo_storage", next((distribution.version for distribution in found), "not installed")
    yield "Python", f"{platform.python_version()} ({platform.python_implementation()})"
    yield "platform", platform.platform()
    yield "Django", _imported("django", lambda it: it.get_version())
    yield "psycopg", _imported("psycopg", lambda it: f"{it.__version__} ({it.pq.__impl__}), libpq {it.pq.version()}")
    yield "psycopg2", _imported("psycopg2", lambda it: f"{it.__version__}, libpq {it.extensions.libpq_version()}")


def drivers() -> Iterator[Line]:
    """Yield each driver by its connection class, and for one that cannot be used the reason."""
    for source, factories in sources():
        if not factories:
            yield f"by {source}", "none"
        for connection_type, factory in factories.items():
            yield f"by {source}", f"{connection_type}: {_driver_state(connection_type, factory)}"


def django_databases() -> Iterator[Line]:
    """Yield the settings and the databases that files are read from and written to."""
    module = os.environ.get("DJANGO_SETTINGS_MODULE")
    if not module:
        yield "Django settings", "none: set DJANGO_SETTINGS_MODULE, or pass --settings"
        return
    yield "Django settings", module
    try:
        importlib.import_module("django").setup()
        databases = importlib.import_module("pg_lo_storage.databases")
        reading, writing = databases.db_for_read(), databases.db_for_write()
        yield "aliases", f"{reading} for reading, {writing} for writing"
        connections = importlib.import_module("django.db").connections
        wrappers = {alias: connections[alias] for alias in (reading, writing)}
    except Exception as error:  # noqa: BLE001 -- a project's settings may raise anything
        yield "", _named(error)
        return
    for alias, wrapper in wrappers.items():
        yield f"database {alias!r}", wrapper.vendor
        if wrapper.vendor == "postgresql":
            yield from _django_database(wrapper, importlib.import_module("django.conf").settings)


def _django_database(wrapper: Any, settings: object) -> Iterator[Line]:
    configured: str | dict[str, str] | None = getattr(settings, "PG_LO_STORAGE_DRIVER", None)
    driver = configured.get(wrapper.alias) if isinstance(configured, dict) else configured

    def report() -> Iterator[Line]:
        with closing(wrapper), wrapper.cursor() as cursor:
            yield from _server(cursor)
            yield _driver(wrapper.connection, driver)

    yield from _reachable(report())


def plain_database(dsn: str) -> Iterator[Line]:
    """Yield the server that a connection string leads to."""
    try:
        driver = _plain_driver()
    except ImportError as error:
        yield "database by --dsn", error
        return
    yield "database by --dsn", f"over {driver.__name__}"

    def report() -> Iterator[Line]:
        with closing(driver.connect(dsn)) as connection, closing(connection.cursor()) as cursor:
            yield from _server(cursor)
            yield _driver(connection, None)

    yield from _reachable(report())


def _plain_driver() -> Any:
    try:
        return importlib.import_module("psycopg")
    except ImportError:
        return importlib.import_module("psycopg2")


def _server(cursor: Any) -> Iterator[Line]:
    cursor.execute(qualified(SERVER))
    version, read_only, *facts = cursor.fetchone()
    yield "server", f"PostgreSQL {version}{', read-only' if read_only else ''}"
    yield from zip(FACTS, ("yes" if fact else "no" for fact in facts), strict=True)


def _driver(connection: object, driver: DriverFactory | str | None) -> Line:
    found = type(get_driver(connection, driver=driver))
    return "driver", f"{found.__module__}.{found.__qualname__}"


def _reachable(lines: Iterator[Line]) -> Iterator[Line]:
    """Yield the lines; an error becomes the last one."""
    try:
        yield from lines
    except Exception as error:  # noqa: BLE001 -- of any driver, or Django's
        yield "", _named(error)


def _named(error: BaseException) -> str:
    """Return the error's class and SQLSTATE, and the name of a missing module."""
    causes = (error, error.__cause__)  # the cause of an error of Django's is the driver's
    states = (getattr(cause, name, None) for cause in causes for name in ("sqlstate", "pgcode"))
    state = next(filter(None, states), None)
    missing = f": no module {error.name!r}" if isinstance(error, ModuleNotFoundError) else ""
    return f"{type(error).__name__}{missing}{f' (SQLSTATE {state})' if state else ''}"


def _imported(name: str, describe: Callable[[Any], str]) -> str:
    if importlib.util.find_spec(name) is None:
        return "not installed"
    try:
        return describe(importlib.import_module(name))
    except ImportError as error:
        return f"cannot be imported: {' '.join(str(error).split())}"


def _driver_state(connection_type: str, factory: DriverFactory | str) -> str:
    package = connection_type.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    try:
        load_factory(factory)
    except DriverNotFound as error:
        return str(error.strerror)
    return str(factory)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors do not quote the command line, which may hold a part of a connection string."""

    @override
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.format_usage()}{self.prog}: not understood; put quotes around a DSN\n")


def main() -> None:
    """Print the report, or do as :mod:`pg_lo_storage.triggers` says."""
    if sys.argv[1:2] == ["triggers"]:
        triggers.main(sys.argv[2:])
        return
    parser = _Parser(prog="python -m pg_lo_storage", description="What a bug report needs to know.")
    parser.add_argument("--settings", metavar="MODULE", help="Django's settings; default: DJANGO_SETTINGS_MODULE")
    parser.add_argument("--dsn", metavar="DSN", help="look at the server of this connection string as well")
    options = parser.parse_args()
    if options.settings:
        os.environ["DJANGO_SETTINGS_MODULE"] = options.settings
    # libpq reads it, for both drivers and under Django: a silent host must not hold up the report.
    os.environ.setdefault("PGCONNECT_TIMEOUT", "5")
    # Connection pools log what the driver says.
    logging.disable()
    # django_databases() runs first: applications register drivers when Django starts.
    projects = list(django_databases())
    lines = [*versions(), *drivers(), *projects, *(plain_database(options.dsn) if options.dsn else ())]
    width = max(len(label) for label, _ in lines)
    for label, value in lines:
        sys.stdout.write(f"{label:{width}}  {value}\n")


if __name__ == "__main__":
    main()
