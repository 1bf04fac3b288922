"""Files that are still where they were before: a row that names one holds it, and only what no row names is deleted.

The old storage takes part in no transaction. So a file is deleted after the commit of the rows that have left it, and
not while a row names it, in whichever file field of the project, or a field's default does. Whoever writes the name of
one shares an advisory lock on the name; whoever deletes it has that lock alone.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, Self, TypeVar, cast

from django.apps import apps
from django.core.files.storage import Storage
from django.db import Error, connections, models, router, transaction
from django.db.models.fields.files import FieldFile

from pg_lo_storage.databases import LargeObjectStorage
from pg_lo_storage.databases.atomic_blocks import noticing_loss
from pg_lo_storage.databases.columns import FileColumn, ask, existing_columns
from pg_lo_storage.databases.file_fields import legacy_of, row_database, rows_of
from pg_lo_storage.databases.references import default_names_of, referring_field, referring_paths
from pg_lo_storage.databases.search import is_forbidden
from pg_lo_storage.lifecycle.known import key_of, known, learn
from pg_lo_storage.storage import TransitionalStorage

__all__ = [
    "Place",
    "delete_after_commit",
    "delete_unnamed",
    "following",
    "hold_old",
    "is_named",
    "is_old",
    "is_old_name",
    "transitional",
]

_T = TypeVar("_T")

logger: Final = logging.getLogger("pg_lo_storage")

_NAME_LOCK: Final = 0x706C6F76
"""The first key of the advisory locks on names: any number."""

_LOCK: Final = (
    "select pg_advisory_xact_lock{kind}(%s::int4, key)"
    " from (select distinct hashtext(name) as key from unnest(%s::text[]) as name order by key offset 0) as keys"
)


class Place(NamedTuple):
    """Where a file of a row is: a database, or the old place of a transitional storage."""

    alias: str
    storage: TransitionalStorage | None = None

    @classmethod
    def of(cls, field: "models.FileField", alias: str) -> Self:
        """Return the place of the files of a field whose large objects are on ``alias``."""
        return cls(alias, transitional(field))


def transitional(field: "models.Field[object, object]") -> TransitionalStorage | None:
    """Return the field's storage where that reads old files of another one, too."""
    return None if legacy_of(field) is None else cast("TransitionalStorage", cast("models.FileField", field).storage)


def is_old(file: FieldFile) -> bool:
    """Tell whether a stored file is still where it was before."""
    return is_old_name(file.field, cast("str", file.name), file.storage)


def is_old_name(field: "models.FileField", name: str, storage: Storage | None = None) -> bool:
    """Tell whether a name in the field's column is that of a file which is still where it was before."""
    found: object = storage or field.storage
    return isinstance(found, LargeObjectStorage) and found.is_old(name)


def following(file: FieldFile, ask: Callable[[], _T]) -> _T:
    """Return the answer; where the file has moved since its row was loaded, ask again by the name that the row has now.

    :raises FileNotFoundError: it is neither where it was, nor has it moved.
    """
    try:
        return ask()
    except FileNotFoundError:
        if not _has_moved(file):
            raise
        return ask()


def _has_moved(file: FieldFile) -> bool:
    """Tell whether the row of an old file names another one now, and have the file and its instance know that name."""
    storage, instance, field = cast("object", file.storage), file.instance, file.field
    key, using = key_of(instance, field), row_database(file)
    if not isinstance(storage, LargeObjectStorage) or storage.legacy is None or key is None or using is None:
        return False
    names = rows_of(field.model, using).filter(pk=key).values_list(field.attname, flat=True)
    name: str | None = next(iter(names), None)
    before = known(instance, field).name
    # A name that the user gave is not the row's.
    if not name or name == file.name or before not in {file.name, ...}:
        return False
    learn(instance, field, name=... if before is ... else name)
    file.name = name
    return True


def hold_old(using: str, storage: TransitionalStorage, names: Iterable[str]) -> set[str]:
    """Keep the files from being deleted until the rows' transaction ends; return those names that are old files'."""
    old = storage.old_among(names)
    if not old:
        return set()
    _lock(using, old, "_shared")
    return {name for name in old if storage.is_old(name)}


def delete_after_commit(using: str, storage: TransitionalStorage, names: Iterable[str]) -> None:
    """Delete old files that rows on ``using`` have left, once these are committed and where no row names them."""
    legacy = storage.legacy
    for name in sorted(names):

        def delete_it(name: str = name) -> None:
            delete_unnamed(using, legacy, name)

        # What fails leaves a file too many; Django logs it by the function's name.
        transaction.on_commit(delete_it, using=using, robust=True)


def delete_unnamed(using: str, legacy: Storage, name: str) -> bool:
    """Delete an old file unless something names it, or may, as :func:`is_named` says; return whether it is gone."""
    with transaction.atomic(using=using):
        _lock(using, [name], "")
        if is_named(name):
            return False
        legacy.delete(name)
        return True


def is_named(name: str) -> bool:
    """Tell whether a row of any file field, or of ``PG_LO_STORAGE_REFERENCES``, or a field's default may have the name.

    Fields of every storage count: the old one's other files are theirs.
    """
    return _may_be_default(name) or any(
        _may_be_named_on(alias, name) for alias in connections if connections[alias].vendor != "unknown"
    )


def _may_be_default(name: str) -> bool:
    fields = (field for model in apps.get_models() for field in model._meta.local_concrete_fields)
    defaults = (
        default
        for field in fields
        if isinstance(field, models.FileField)
        for default in default_names_of([field], router.db_for_write(field.model))
    )
    return any(default in {name, None} for default in defaults)


def _may_be_named_on(alias: str, name: str) -> bool:
    try:
        with noticing_loss(alias):
            return _is_named_on(alias, name)
    except (Error, AssertionError) as error:
        if is_forbidden(error):
            return False
        if connections[alias].in_atomic_block:
            raise  # whoever asks cannot go on
        logger.exception("kept the old file %r: rows on %r may name it, and it does not answer", name, alias)
        return True


def _is_named_on(alias: str, name: str) -> bool:
    if connections[alias].vendor != "postgresql":
        return any(
            models.QuerySet(field.model, using=alias).filter(**{field.attname: name}).exists()
            for field in _naming_fields(alias)
            if field.model._meta.db_table in connections[alias].introspection.table_names()
        )
    columns = sorted({FileColumn.of(field) for field in _naming_fields(alias)})
    found = existing_columns(alias, columns, in_all_schemas=True, whatever_catalogue=True)
    if doubtful := [str(each.column) for each in found if each.hides_rows or not (each.may_read and each.is_readable)]:
        logger.warning("kept the old file %r: rows of %s may name it, and cannot be seen", name, doubtful)
        return True

    selects = ["select 1 where false"]  # a database may have none of the tables
    selects += [
        f"select 1 from {each.table_for_params(alias)} where {each.text(alias).replace('%', '%%')} = %s::text"  # noqa: S608 -- quoted
        for each in found
    ]
    [(is_there,)] = ask(alias, f"select exists ({' union all '.join(selects)})", *[name] * len(found))
    return bool(is_there)


def _naming_fields(alias: str) -> "Iterator[models.Field[object, object]]":
    for model in apps.get_models(include_auto_created=True, include_swapped=True):
        for field in model._meta.local_concrete_fields:
            if isinstance(field, models.FileField) and router.allow_migrate_model(alias, model):
                yield field
    for field in map(referring_field, referring_paths()):
        if isinstance(field, models.CharField | models.TextField) and router.allow_migrate_model(alias, field.model):
            yield field


def _lock(using: str, names: Iterable[str], kind: str) -> None:
    if connections[using].vendor == "postgresql":
        ask(using, _LOCK.format(kind=kind), _NAME_LOCK, sorted(names))
