"""System checks that ask no database: settings and fields. docs/checks.md explains each of them.

Those that ask the databases are in :mod:`pg_lo_storage.checks.server`; ``migrate`` and ``check --database`` run them.
"""

import importlib
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final, cast

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import InvalidStorageError
from django.db import connections, router

from pg_lo_storage import catalogue
from pg_lo_storage.checks.packages import check_packages
from pg_lo_storage.checks.places import may_have_files
from pg_lo_storage.checks.server import check_server, keeps_files
from pg_lo_storage.checks.storages import configured_storages
from pg_lo_storage.databases import db_for_read, db_for_write
from pg_lo_storage.databases.backends import schema_of
from pg_lo_storage.databases.file_fields import concrete, legacy_of, stored_fields, write_alias_of
from pg_lo_storage.databases.references import referring_field, referring_paths
from pg_lo_storage.drivers import DriverNotFound
from pg_lo_storage.drivers.registry import load_factory, why_no_driver, why_no_factory
from pg_lo_storage.names import MAX_OID

if TYPE_CHECKING:
    from django.db import models

__all__ = ["register_checks"]

TAG: Final = "pg_lo_storage"
_DIGITS: Final = len(str(MAX_OID))
_NAMING_TYPES: Final = {"varchar", "text", "char", "character", "character varying", "name", "oid", "integer", "bigint"}
_WITH_EXTENSION: Final = _DIGITS + len(".jpeg")


def register_checks() -> None:
    """Have Django run the checks; a second time changes nothing."""
    for check in (check_settings, check_fields, check_packages):
        checks.register(check, TAG)
    # 'migrate' has Django run these alone.
    checks.register(check_old_places, TAG, checks.Tags.database)
    checks.register(check_databases, TAG, checks.Tags.database)


def check_settings(**_options: object) -> list[checks.CheckMessage]:
    """Check the databases of files, their drivers, and the other columns that name files."""
    return [
        *_check_driver(),
        *_check_references(),
        *_check_aliases(aliases_in_use(), set(written_to().values())),
    ]


def check_fields(app_configs: Sequence[AppConfig] | None = None, **_options: object) -> list[checks.CheckMessage]:
    """Check each file field against its column and its rows' database."""
    return [
        message for field in _fields(app_configs) for message in (*_check_length(field), *_check_rows_database(field))
    ]


def check_old_places(app_configs: Sequence[AppConfig] | None = None, **_options: object) -> list[checks.CheckMessage]:
    """Check the storages that have old files; this asks no database, but all that does needs them."""
    return [message for field in _fields(app_configs) for message in _check_old_place(field)]


def check_databases(databases: Collection[str] | None = None, **_options: object) -> list[checks.CheckMessage]:
    """Check those of ``databases`` that have, or may have, files; none by default."""
    used = aliases_in_use()
    if check_old_places():
        return []
    return [
        message
        for alias in databases or ()
        if connections[alias].vendor == "postgresql" and (alias in used or may_have_files(alias))
        for message in check_server(alias, databases or ())
    ]


def written_to() -> dict[str, str]:
    """Return the database that each file field, and each storage of ``STORAGES``, saves files to."""
    storages = {f"STORAGES[{name!r}]": storage.write_alias for name, storage in configured_storages()}
    return storages | {
        str(field): cast("str", write_alias_of(field, router.db_for_write(field.model))) for field in _fields(None)
    }


def aliases_in_use() -> dict[str, list[str]]:
    """Return the databases that files are read from or written to, each with what says so."""
    users: dict[str, list[str]] = {}
    for name in ("PG_LO_STORAGE_DB_FOR_READ", "PG_LO_STORAGE_DB_FOR_WRITE"):
        if alias := getattr(settings, name, None):
            users.setdefault(alias, []).append(f"the setting {name}")
    for user, alias in written_to().items():
        # The settings go together: a storage with an alias of its own reads where it writes.
        for used in dict.fromkeys((alias, db_for_read() if alias == db_for_write() else alias)):
            users.setdefault(used, []).append(user)
    return users


def _fields(app_configs: Sequence[AppConfig] | None) -> "Iterator[models.FileField]":
    for config in apps.get_app_configs() if app_configs is None else app_configs:
        for model in config.get_models(include_auto_created=True):
            if concrete(model) is model:
                yield from stored_fields(model)


def _check_driver() -> Iterator[checks.CheckMessage]:
    configured: object = getattr(settings, "PG_LO_STORAGE_DRIVER", None)
    hint = "Set it to the dotted path of a driver, or to a dict of alias to dotted path; or leave it out."
    drivers: dict[object, object] = (
        cast("dict[object, object]", configured) if isinstance(configured, dict) else {None: configured}
    )
    for alias, driver in drivers.items():
        place = "PG_LO_STORAGE_DRIVER" if alias is None else f"PG_LO_STORAGE_DRIVER[{alias!r}]"
        problem = None
        if alias is not None and alias not in connections.settings:
            problem = "names no database of DATABASES"
        elif driver is not None:
            problem = _problem_with(driver)
        if problem:
            yield checks.Error(f"{place} {problem}.", hint=hint, id="pg_lo_storage.E003")


def _problem_with(driver: object) -> str | None:
    if not isinstance(driver, str):
        return f"is {driver!r}, no dotted path"
    try:
        factory: object = load_factory(driver)
    except DriverNotFound as error:
        return f"cannot be used: {error}"
    if (reason := why_no_factory(factory)) is not None:
        return f"names {factory!r}, which makes no driver: {reason}"
    if not isinstance(factory, type):
        return None  # what a function makes, only a call can tell
    reason = why_no_driver(factory)
    return f"names {factory.__name__}, which is no LargeObjectDriver: {reason}" if reason else None


def _check_references() -> Iterator[checks.CheckMessage]:
    for path in referring_paths():
        problem = None
        try:
            field = referring_field(path)
        except ImproperlyConfigured as error:
            problem = str(error)
        else:
            connection = connections[router.db_for_write(field.model)]
            kind = (field.db_type(connection) or "").partition("(")[0]
            if connection.vendor == "postgresql" and kind not in _NAMING_TYPES:
                problem = f"PG_LO_STORAGE_REFERENCES: the column of {path!r} is of type {kind}, and names no file"
        if problem:
            yield checks.Error(
                f"{problem}.",
                hint="List columns of text, or of numbers that are oids: ['shop.HistoricalPaper.file', ...].",
                id="pg_lo_storage.E006",
            )


def _check_aliases(users: dict[str, list[str]], written: set[str]) -> Iterator[checks.CheckMessage]:
    for alias, using in users.items():
        if alias not in connections.settings:
            yield checks.Error(
                f"There is no database {alias!r}, which {_listed(using)} would have files in.",
                hint="Name an alias of DATABASES in PG_LO_STORAGE_DB_FOR_READ, PG_LO_STORAGE_DB_FOR_WRITE, and alias=.",
                id="pg_lo_storage.E001",
            )
        elif connections[alias].vendor != "postgresql":
            yield checks.Error(
                f"The database {alias!r} is {connections[alias].display_name}, and {_listed(using)}"
                " would have large objects in it, which only PostgreSQL has.",
                hint="Name another in PG_LO_STORAGE_DB_FOR_READ and PG_LO_STORAGE_DB_FOR_WRITE, or pass alias=.",
                id="pg_lo_storage.E002",
            )
        else:
            yield from _check_options(alias)
            if alias in written:
                yield from _check_catalogue_wanted(alias)


def _check_options(alias: str) -> Iterator[checks.CheckMessage]:
    options = cast("dict[str, object]", connections[alias].settings_dict.get("OPTIONS", {}))
    isolation = importlib.import_module("django.db.backends.postgresql.psycopg_any").IsolationLevel
    level = options.get("isolation_level")
    if level in {isolation.REPEATABLE_READ, isolation.SERIALIZABLE}:
        yield keeps_files(alias, "REPEATABLE READ" if level == isolation.REPEATABLE_READ else "SERIALIZABLE")


def _check_catalogue_wanted(alias: str) -> Iterator[checks.CheckMessage]:
    # Of tenants' schemas the routers say something else in each; the check of the database knows the one there is.
    has_schemas = schema_of(alias) is not None
    is_allowed = has_schemas or router.allow_migrate(alias, "pg_lo_storage", model_name="storedfile")
    if catalogue.is_installed() and not is_allowed:
        yield checks.Warning(
            f"The database routers keep 'migrate' from making the catalogue in {alias!r}, where files are stored.",
            hint=f"Have allow_migrate({alias!r}, 'pg_lo_storage') return True or None, and migrate that database.",
            id="pg_lo_storage.W006",
        )


def _check_length(field: "models.FileField") -> Iterator[checks.CheckMessage]:
    length = field.max_length
    if length is None or length >= _WITH_EXTENSION:
        return
    hint = "Leave max_length out: 100 is Django's default."
    if length < _DIGITS:
        yield checks.Error(
            f"max_length={length} cannot hold a stored name: an oid has up to {_DIGITS} digits.",
            hint=hint,
            obj=field,
            id="pg_lo_storage.E004",
        )
    else:
        yield checks.Warning(
            f"max_length={length} leaves no room for an extension after an oid of {_DIGITS} digits: files will be"
            " saved without, and without the catalogue served as application/octet-stream.",
            hint=hint,
            obj=field,
            id="pg_lo_storage.W003",
        )


def _check_rows_database(field: "models.FileField") -> Iterator[checks.CheckMessage]:
    rows: str = router.db_for_write(field.model)
    alias = write_alias_of(field, rows)
    if alias != rows:
        yield checks.Warning(
            f"Rows are written to the database {rows!r} and their files to {alias!r}: they share no transaction, so"
            " that a rollback of one leaves the other, and a file is unlinked only after its row is committed.",
            hint=f"Leave out alias= and the settings: files then follow their rows; or route its model to {alias!r}.",
            obj=field,
            id="pg_lo_storage.W002",
        )


def _check_old_place(field: "models.FileField") -> Iterator[checks.CheckMessage]:
    try:
        legacy_of(field)
    except (ImproperlyConfigured, InvalidStorageError) as error:  # the former is raised for another backend, too
        yield checks.Error(
            f"The storage that has the old files cannot be used: {str(error).removesuffix('.')}.",
            hint="TransitionalStorage(legacy=...) takes a storage of other files, or its alias in STORAGES.",
            obj=field,
            id="pg_lo_storage.E008",
        )


def _listed(users: Sequence[str]) -> str:
    more = len(users) - 2
    return ", ".join(users[:2]) + (f" and {more} more" if more > 0 else "")
