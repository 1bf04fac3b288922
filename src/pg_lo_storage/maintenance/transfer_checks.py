"""What a move of rows to another database has to look at first: that it is another, and who refers to whom."""

import secrets
from collections.abc import Collection, Iterable, Iterator
from typing import Any, cast

from django.db import connections, models, router, transaction
from django.db.models.fields.related import ForeignObject

from pg_lo_storage.databases.columns import FileColumn, ask, existing_columns
from pg_lo_storage.databases.file_fields import rows_of
from pg_lo_storage.maintenance.transfer_rows import Problem, Table, Values

__all__ = ["require_no_referrers", "require_references", "require_two_tables"]


def require_two_tables(model: type[models.Model], source: str, target: str) -> None:
    """Require that the aliases have different tables of the model, and that the routers allow the target's.

    :raises Problem: they have not, or the routers do not.
    """
    for alias in (source, target):
        if connections[alias].vendor != "postgresql":
            raise Problem(f"the database {alias!r} is {connections[alias].display_name}, and files need PostgreSQL")
    if not router.allow_migrate_model(target, model):
        raise Problem(f"the routers do not allow {model._meta.label} on {target!r}")
    table = connections[source].ops.quote_name(model._meta.db_table)
    key = secrets.randbits(62)
    with transaction.atomic(using=source), transaction.atomic(using=target):
        # The locks are the database's own, whatever the aliases say of host and port.
        ask(source, "select pg_advisory_xact_lock(%s::int8)", key)
        [(is_other,)] = ask(target, "select pg_try_advisory_xact_lock(%s::int8)", key)
        places = [ask(alias, "select to_regclass(%s::text)::oid::int8", table) for alias in (source, target)]
    if source == target or (not is_other and places[0] == places[1]):
        raise Problem(f"{source!r} and {target!r} are one database: {model._meta.db_table} is the same table on both")


def require_references(tables: Iterable[Table], rows: Collection[dict[str, Values]], source: str, target: str) -> None:
    """Require that the target has the rows that these rows refer to.

    :raises Problem: it lacks one, or has another row under the key, by its natural key.
    """
    moving = {(table.model, table.keys[0]): {row[table.name][table.keys[0]] for row in rows} for table in tables}
    for table in tables:
        for field in table.model._meta.local_concrete_fields:
            if not isinstance(field, models.ForeignKey) or not vars(field)["db_constraint"]:
                continue
            there = field.target_field
            used = {row[table.name][str(field.column)] for row in rows} - {None}
            used -= moving.get((there.model, str(there.column)), set())
            if used:
                _require_rows(f"{table.model._meta.label}.{field.name}", there, cast("set[str]", used), source, target)


def _require_rows(
    reference: str, field: "models.Field[Any, Any]", used: Collection[str], source: str, target: str
) -> None:
    model = field.model
    here, there = (_natural_keys(field, alias, used) for alias in (source, target))
    for key in sorted(used):
        if key not in there:
            message = (
                f"{reference} refers to {model._meta.label} {key}, and {target!r} has no such row: first run"
                f" 'largeobjects transfer --keep --from {source} --to {target} {model._meta.label}', with a --where"
                " that takes it"
            )
            raise Problem(message)
        if here.get(key) != there[key]:
            message = (
                f"{reference} refers to {model._meta.label} {key}, which is {here.get(key)!r} on {source!r} and"
                f" {there[key]!r} on {target!r}: give it the same key on both"
            )
            raise Problem(message)


def _natural_keys(field: "models.Field[Any, Any]", alias: str, keys: Collection[str]) -> dict[str, object]:
    """Return the natural keys of rows by the texts of a field; ``None`` for a model that has none."""
    natural_key: Any = getattr(field.model, "natural_key", _no_key)
    rows = rows_of(field.model, alias).filter(**{f"{field.attname}__in": keys})
    return {str(getattr(row, field.attname)): natural_key(row) for row in rows}


def _no_key(_row: models.Model) -> None:
    """Stand for the natural key of a model that has none."""


def require_no_referrers(tables: Iterable[Table], rows: Collection[dict[str, Values]], source: str) -> None:
    """Require that no other row of the source refers to these rows, which are to be deleted there.

    :raises Problem: one does.
    """
    moved = {table.model: [row[table.name][table.keys[0]] for row in rows] for table in tables}
    for table in tables:
        for field in _referring(table.model, source):
            if field.model in moved and field.remote_field.parent_link:
                continue
            keys = [row[table.name][str(field.target_field.column)] for row in rows]
            referrers = rows_of(field.model, source).filter(**{f"{field.attname}__in": keys})
            if field.model in moved:
                referrers = referrers.exclude(**{f"{field.model._meta.pk_fields[0].attname}__in": moved[field.model]})
            _require_none(table, field, referrers.values_list(field.attname, flat=True).first())
        _require_none_generic(table, rows, source)


def _referring(model: type[models.Model], alias: str) -> "Iterator[models.ForeignKey[Any, Any]]":
    """Yield the foreign keys to the model's own table that the database has."""
    relations = model._meta.get_fields(include_parents=False, include_hidden=True)
    found = [
        relation.field
        for relation in relations
        if isinstance(relation, models.ForeignObjectRel) and isinstance(relation.field, models.ForeignKey)
    ]
    existing = {each.column for each in existing_columns(alias, [FileColumn.of(field) for field in found])}
    yield from (field for field in found if FileColumn.of(field) in existing)


def _require_none(table: Table, field: "models.ForeignKey[Any, Any]", key: object) -> None:
    if key is None:
        return
    label, other = table.model._meta.label, field.model._meta.label
    if field.remote_field.parent_link:
        raise Problem(f"{label} {key} is also a row of {other}: transfer {other}, which takes both along")
    message = (
        f"{other}.{field.name} refers to {label} {key}, which therefore cannot be deleted: transfer {label} with"
        f" --keep, then {other}, and then {label} again"
    )
    raise Problem(message)


def _require_none_generic(table: Table, rows: Collection[dict[str, Values]], source: str) -> None:
    for field in table.model._meta.private_fields:
        # A GenericRelation; its module cannot be imported where its app is not installed.
        if isinstance(field, ForeignObject) and field.one_to_many and len(table.keys) == 1:
            keys = [row[table.name][table.keys[0]] for row in rows]
            with_some = rows_of(table.model, source).filter(pk__in=keys, **{f"{field.name}__isnull": False})
            if (key := with_some.values_list("pk", flat=True).first()) is not None:
                label, other = table.model._meta.label, field.related_model._meta.label
                message = (
                    f"{other} refers to {label} {key}, by {field.name}: transfer {label} with --keep, then {other},"
                    f" and then {label} again"
                )
                raise Problem(message)
