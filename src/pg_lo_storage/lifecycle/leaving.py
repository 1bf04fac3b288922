"""Files that rows no longer name: released in the rows' transaction, or, on another database, after its commit."""

from collections.abc import Mapping

from django.db import connections, models, transaction

from pg_lo_storage import catalogue
from pg_lo_storage.databases.columns import FileColumn
from pg_lo_storage.databases.file_fields import follows_rows
from pg_lo_storage.databases.references import reaches
from pg_lo_storage.databases.search import Cell
from pg_lo_storage.lifecycle.known import Left, known, learn
from pg_lo_storage.lifecycle.old_files import Place, delete_after_commit, transitional
from pg_lo_storage.lifecycle.sharing import release
from pg_lo_storage.names import parse_name

__all__ = ["cleans", "give_up", "release_with"]


def release_with(using: str, left: Mapping[Place, set[str]], model: type[models.Model]) -> None:
    """Release files of each place in the transaction of the rows on ``using``; on other databases, after its commit."""
    for (alias, storage), given in left.items():
        old = set[str]() if storage is None else storage.old_among(given)
        if storage is not None and old:
            delete_after_commit(using, storage, old)
        if not (names := given - old):
            continue

        def release_them(alias: str = alias, names: set[str] = names) -> None:
            # Where it fails, it must undo nothing else that is open on the files' database.
            with transaction.atomic(using=alias):
                release(alias, names, model._meta.apps, using=using)

        if alias == using:
            release(alias, names, model._meta.apps, using=using)
        else:
            # The rows are committed: a file whose release fails stays as an orphan. Django logs the failure by the
            # function's name, which a partial has not.
            transaction.on_commit(release_them, using=using, robust=True)


def cleans(field: "models.FileField") -> bool:
    """Tell whether the field has its files unlinked."""
    return bool(getattr(field, "cleanup", False))


def give_up(instance: models.Model, field: "models.FileField", left: Left, *, now: bool) -> None:
    """Release a file that the instance's row names: with the row's next save, or at once, whatever the row says."""
    if not now:
        learn(instance, field, left=(*known(instance, field).left, left))
        return
    alias, name = left
    if (storage := transitional(field)) is not None and storage.old_among([name]):
        # Its row names it until it is saved, or deleted.
        learn(instance, field, left=(*known(instance, field).left, left))
        return
    loid = parse_name(name)
    if loid is None or not (catalogue.is_installed() or reaches(alias, name, loid)):
        return
    if not hasattr(instance, "_state"):
        release(alias, [name], field.model._meta.apps)  # a stand-in, which packages clean up with, has no row
        return
    # The row that a replica was asked for is one of the primary's.
    using = alias if follows_rows(field) else instance._state.db
    key = {
        str(part.column): part.get_db_prep_value(vars(instance).get(part.attname), connections[using or alias])
        for part in field.model._meta.pk_fields
    }
    cell = Cell(FileColumn(field.model._meta.db_table, str(field.column)), key)
    release(alias, [name], instance._meta.apps, using=using, besides=cell if None not in key.values() else None)
