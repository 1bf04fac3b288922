"""A pass in this environment: the project set up in a schema of its own, its server, and the steps."""

import json
import os
import secrets
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import django
from django.core.management import call_command
from django.db import connection

from example.cluster import Server
from example.demo.files import Source
from example.demo.report import Report
from example.webserver import WebServer

DRIVERS = {"psycopg": "psycopg", "psycopg2": "psycopg2-binary"}


def find_driver_problem(driver: str) -> str | None:
    """Tell why Django would not use that driver here."""
    if find_spec(driver) is None:
        return f"{driver} is not installed here"
    if driver == "psycopg2" and find_spec("psycopg"):
        return "psycopg is installed here as well, and Django prefers it: leave --driver out"
    return None


def run_pass(server: Server, driver: str, paths: list[Path]) -> int:
    """Run the steps over the files, print what came of them, and return how many things were wrong."""
    sources = [Source.of(path) for path in paths]
    report = Report(source.label for source in sources)
    schema = f"lo_demo_{secrets.token_hex(4)}"
    _set_up(server, schema)
    from example.demo.journey import Journey  # models load once Django is set up

    with _own_schema(schema), WebServer("example.project.wsgi") as web:
        print(f"\n{_versions(driver)}; gunicorn on {web.url}", flush=True)
        call_command("migrate", verbosity=0)
        Journey(report, web).run(sources)
        if report.problems and (log := web.log()):
            print(f"\ngunicorn's log:\n{log}", file=sys.stderr, flush=True)
    return report.problems


def _set_up(server: Server, schema: str) -> None:
    options = server.parameters().get("options", "")
    database = server.django_database(options=f"{options} -c search_path={schema}".strip())
    # In the environment, so that gunicorn has the same.
    os.environ["DJANGO_SETTINGS_MODULE"] = "example.project.settings"
    os.environ["PG_LO_DEMO_DATABASE"] = json.dumps(database)
    os.environ["PG_LO_DEMO_SECRET_KEY"] = secrets.token_urlsafe(50)
    django.setup()


@contextmanager
def _own_schema(schema: str) -> Generator[None]:
    """Keep out of the way of what a server that was there before has; nothing stays in it."""
    _execute(f"create schema {schema}")
    try:
        yield
    finally:
        connection.close()  # whatever state an interruption left it in
        if "project_invoice" in connection.introspection.table_names():
            _unlink_files()
        _execute(f"drop schema {schema} cascade")
        connection.close()


def _unlink_files() -> None:
    from example.project.models import Invoice
    from pg_lo_storage.storage import db_file_storage

    for invoice in Invoice.objects.all():
        db_file_storage.delete(str(invoice.data.name))


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _versions(driver: str) -> str:
    connection.ensure_connection()
    raw = type(cast("object", connection.connection))
    if not any(base.__module__.partition(".")[0] == driver for base in raw.__mro__):
        raise RuntimeError(f"Django's connection is a {raw.__module__}.{raw.__qualname__}, not one of {driver}")
    with connection.cursor() as cursor:
        cursor.execute("show server_version")
        [postgresql] = cursor.fetchone() or ["?"]
    return f"{driver} {version(DRIVERS[driver])}, Django {django.get_version()}, PostgreSQL {postgresql}"
