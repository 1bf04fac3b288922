"""Which columns have the names of stored files, and which files they name.

A name refers to an object by its oid, whatever its extension.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final, cast

from django.apps import apps
from django.apps.registry import Apps
from django.conf import settings
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import Error, connections, models, router, transaction

from pg_lo_storage.databases.aliases import db_for_write
from pg_lo_storage.databases.atomic_blocks import noticing_loss
from pg_lo_storage.databases.columns import FileColumn
from pg_lo_storage.databases.file_fields import file_fields, follows_rows
from pg_lo_storage.databases.search import (
    Besides,
    Cell,
    Searched,
    is_forbidden,
    named_elsewhere,
    named_on,
    names_on,
)
from pg_lo_storage.names import is_made, parse_name

__all__ = [
    "Cell",
    "default_names",
    "default_names_of",
    "fields_by_database",
    "file_columns",
    "naming_columns",
    "reaches",
    "referenced",
    "referring_field",
    "referring_paths",
]

logger: Final = logging.getLogger("pg_lo_storage")

# The backend of an alias that has no settings.
_NONE: Final = "django.db.backends.dummy"

_TEXT: Final = (models.FileField, models.CharField, models.TextField)


def referring_paths() -> list[object]:
    """Return what the setting ``PG_LO_STORAGE_REFERENCES`` lists."""
    listed: object = getattr(settings, "PG_LO_STORAGE_REFERENCES", ())
    return list(cast("Collection[object]", listed)) if isinstance(listed, list | tuple | set | frozenset) else [listed]


def referring_field(path: object) -> "models.Field[object, object]":
    """Return the field that ``path`` of ``PG_LO_STORAGE_REFERENCES`` stands for.

    :raises ImproperlyConfigured: ``path`` is not ``"app.Model.field"`` of a field with a column.
    """
    message = f"PG_LO_STORAGE_REFERENCES: {path!r} is no 'app.Model.field' of a column that names files"
    try:
        app_label, model, name = cast("str", path).split(".")
        field: object = apps.get_model(app_label, model)._meta.get_field(name)
    except (AttributeError, ValueError, LookupError, FieldDoesNotExist) as error:
        raise ImproperlyConfigured(message) from error
    # What is many to many has a name for a column, and none in the table.
    if not isinstance(field, models.Field) or field.column is None or field.many_to_many:
        raise ImproperlyConfigured(message)
    return cast("models.Field[object, object]", field)


def file_columns(alias: str, *registries: Apps) -> list[FileColumn]:
    """Return the columns of all file fields, of the project and of ``registries``, that name files on ``alias``."""
    return sorted({FileColumn.of(field) for field in file_fields(alias, *registries)})


def naming_columns(alias: str, *registries: Apps) -> list[FileColumn]:
    """Return every column whose names keep files on ``alias``: the file fields', and those that the project lists.

    :raises ImproperlyConfigured: the setting ``PG_LO_STORAGE_REFERENCES`` is wrong.
    """
    return sorted({FileColumn.of(field) for field in _naming_fields(alias, *registries)})


def fields_by_database(alias: str) -> "dict[str, list[models.Field[object, object]]]":
    """Return the fields whose names keep files on ``alias``, by each database that may have their rows.

    :raises ImproperlyConfigured: the setting ``PG_LO_STORAGE_REFERENCES`` is wrong.
    """
    fields = _naming_fields(alias)
    databases = _by_database(fields, alias)
    columns = databases | _elsewhere(fields, databases)
    return {rows: [field for field in fields if FileColumn.of(field) in columns[rows]] for rows in columns}


def default_names(alias: str, *registries: Apps) -> set[str]:
    """Return the names that file fields on ``alias`` have as ``default`` or ``db_default``.

    A callable default is called; what it does on ``alias`` is rolled back. One that raises is logged and left out.
    """
    return {name for name in _defaults(alias, *registries) if name is not None}


def _naming_fields(alias: str, *registries: Apps) -> "set[models.Field[object, object]]":
    return {*file_fields(alias, *registries), *map(referring_field, referring_paths())}


def default_names_of(fields: "Iterable[models.FileField]", alias: str) -> Iterator[str | None]:
    """Yield what the fields have as ``default`` or ``db_default``; ``None`` for a default that cannot be known."""
    for field in fields:
        given: list[object] = [getattr(vars(field).get("db_default"), "value", vars(field).get("db_default"))]
        default: object = field.default if field.has_default() else None
        if not callable(default):
            given.append(default)
        elif (called := _called(field, alias, cast("Callable[[], object]", default))) is None:
            yield None
        else:
            given += called
        for value in given:
            name: object = value if isinstance(value, str) else getattr(value, "name", None)
            if isinstance(name, str):
                yield name


def _defaults(alias: str, *registries: Apps) -> Iterator[str | None]:
    """Yield the names of stored files that are defaults; ``None`` for a default that cannot be known."""
    names = default_names_of(file_fields(alias, *registries), alias)
    return (name for name in names if name is None or parse_name(name) is not None)


def _called(field: object, alias: str, default: Callable[[], object]) -> list[object] | None:
    """Return what the default returns, and nothing else; ``None`` where it raised, which is logged."""
    connection = connections[alias]
    hooks = connection.run_on_commit
    try:
        with transaction.atomic(using=alias):
            try:
                value = [default()]
            except Exception:  # what a signal raises while the savepoint is made is not the default's
                logger.exception("the default of %s, which may name a file, raised", field)
                value = None
            transaction.set_rollback(True, using=alias)
    except (Error, ImproperlyConfigured, AssertionError) as error:
        if connection.in_atomic_block or (isinstance(error, AssertionError) and not is_forbidden(error)):
            raise
        logger.exception("the default of %s may name a file, and %r does not answer", field, alias)
        return None
    # Only the default's own work was rolled back: a new list, as after a rollback, would say that more was.
    hooks[:] = connection.run_on_commit
    connection.run_on_commit = hooks
    return value


def referenced(
    alias: str, oids: Collection[int], *registries: Apps, using: str | None = None, besides: Besides = None
) -> set[int]:
    """Return those objects of ``alias`` that a row or a field's default names.

    Return all of them where that cannot be known: where row-level security hides rows, where reading a column would run
    code that is not PostgreSQL's own, and where a default raises.

    The search is in SQL, past any manager. A field's rows are on ``alias``, where its files are on the database of
    their row; else they may be on any on which the routers allow their model. No table is searched twice, whichever
    aliases lead to it. Of the rows on ``using`` those ``besides`` do not count.

    :raises ImproperlyConfigured: the setting ``PG_LO_STORAGE_REFERENCES`` is wrong.
    """
    if not oids:
        return set()
    defaults = set(_defaults(alias, *registries))
    if None in defaults:
        logger.warning("kept large objects %s: a default may name them", sorted(oids))
        return set(oids)
    found = {parse_name(name) for name in defaults} & set(oids)
    using = using or alias
    fields = _naming_fields(alias, *registries)
    databases, searched = _by_database(fields, alias, using), Searched(alias)
    for rows in sorted(databases, key=alias.__ne__):  # first where rows of this transaction are seen
        found |= named_on(rows, sorted(databases[rows]), oids, besides if rows == using else None, searched)
    for rows, columns in _elsewhere(fields, databases).items():
        found |= named_elsewhere(rows, sorted(columns), oids, searched)
    return cast("set[int]", found)


def reaches(alias: str, name: str, oid: int) -> bool:
    """Tell, without the catalogue, whether ``name`` is the object's own name, by which it may be changed or deleted.

    Where rows that the role may see name the object, they alone decide. Where none does, a name of the form that
    ``save`` makes is its own. Packages make other names from it, as ``12.jpg.80x80.jpg``, for files that they derive.
    """
    # A column of numbers says nothing of the extension.
    fields = (field for field in _naming_fields(alias) if isinstance(field, _TEXT))
    names = set[str]()
    for rows, columns in _by_database(fields, alias).items():
        with noticing_loss(rows):
            names |= names_on(rows, sorted(columns), oid)
    return name in names if names else is_made(name)


def _by_database(fields: "Iterable[models.Field[object, object]]", *aliases: str) -> dict[str, set[FileColumn]]:
    """Return the fields' columns by database of the rows that may name files on the first of ``aliases``."""
    columns: defaultdict[str, set[FileColumn]] = defaultdict(set)
    for field in fields:
        for rows in _databases_of_rows(field, *aliases):
            columns[rows].add(FileColumn.of(field))
    return columns


def _databases_of_rows(field: "models.Field[object, object]", alias: str, *others: str) -> set[str]:
    if isinstance(field, models.FileField) and follows_rows(field):
        return {alias}
    return {alias, *others, router.db_for_write(field.model)}


def _elsewhere(
    fields: "Collection[models.Field[object, object]]", searched: Collection[str]
) -> dict[str, set[FileColumn]]:
    """Return the columns, by other database, of those fields whose rows may be on any that the routers allow.

    Other columns name files of any field: their rows may be there where some field's may.
    """
    columns: defaultdict[str, set[FileColumn]] = defaultdict(set)
    anywhere = [field for field in fields if not (isinstance(field, models.FileField) and follows_rows(field))]
    # The project says itself that this is the replica of the database that it writes to.
    replica = getattr(settings, "PG_LO_STORAGE_DB_FOR_READ", None)
    known = {*searched, *([replica] if replica and db_for_write() in searched else [])}
    if any(isinstance(field, models.FileField) for field in anywhere):
        for alias in connections:
            if alias in known or connections[alias].settings_dict["ENGINE"] == _NONE:
                continue
            for field in anywhere:
                if router.allow_migrate_model(alias, field.model):
                    columns[alias].add(FileColumn.of(field))
    return columns
