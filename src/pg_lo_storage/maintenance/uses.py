"""Which rows name files: the columns with names, as statistics need them, and the rows of single files."""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from django.apps import apps
from django.conf import settings
from django.db import connections, models, router
from typing_extensions import override

from pg_lo_storage.catalogue import as_array
from pg_lo_storage.databases.columns import ExistingColumn, FileColumn, ask, existing_columns, quoted
from pg_lo_storage.databases.columns_in_sql import OWN_TYPE
from pg_lo_storage.databases.file_fields import concrete, file_fields, follows_rows
from pg_lo_storage.databases.identity import is_same_database
from pg_lo_storage.databases.names_in_sql import naming, oid_in
from pg_lo_storage.databases.references import referring_field, referring_paths

if TYPE_CHECKING:
    Field: TypeAlias = models.Field[Any, Any]

__all__ = [
    "MOST_ROWS",
    "NamingColumn",
    "Row",
    "naming_columns",
    "rows_in_oid_columns",
    "rows_that_name",
    "user_fields",
    "user_model",
    "usernames",
]

MOST_ROWS: Final = 1_000
"""The most rows that are looked for in one column."""


_OID_COLUMNS: Final = (
    "select (pg_identify_object('pg_catalog.pg_class'::regclass::oid, r.oid, 0)).identity, a.attname::text,"
    " array(select quote_ident(key.attname::text) from pg_index as i"
    " join pg_attribute as key on key.attrelid = r.oid and key.attnum = any(i.indkey::int2[])"
    " join pg_type as kind on kind.oid = key.atttypid and kind.typnamespace = 'pg_catalog'::regnamespace::oid"
    " where i.indrelid = r.oid and i.indisprimary order by key.attnum)"
    " from pg_attribute as a join pg_class as r on r.oid = a.attrelid join pg_type as t on t.oid = a.atttypid"
    " join pg_namespace as n on n.oid = r.relnamespace"
    " where a.attnum > 0 and not a.attisdropped and a.attgenerated = ''::\"char\""
    " and r.relkind = any('{r,m}'::\"char\"[]) and r.relpersistence <> 't'::\"char\""
    " and not starts_with(n.nspname::text, 'pg_') and n.nspname <> 'information_schema'::name"
    " and (t.oid = 'oid'::regtype::oid or t.typtype = 'd'::\"char\" and t.typbasetype = 'oid'::regtype::oid)"
    " and has_schema_privilege(n.oid, 'usage') and has_column_privilege(r.oid, a.attnum, 'select')"
    " and r.oid <> coalesce(to_regclass('pg_lo_storage_file')::oid, 0::oid)"
    " and not exists (select from rows from (unnest(%s::text::oid[]), unnest(%s::text[]))"
    " as known (relation, attribute) where relation = r.oid and attribute = a.attname::text) order by 1, 2"
)
# Further facts of a column: of which wanted one's name it is, its table, and that table's name in words.
_PLACE: Final = (
    "n::int8",
    "r.oid::int8",
    "(pg_identify_object('pg_catalog.pg_class'::regclass::oid, r.oid, 0)).identity",
)


class NamingColumn(NamedTuple):
    """A field's column with names of files, in one of the schemas; ``rows`` is the alias of its rows.

    ``table``, and ``name``, the row's ``key`` and the key of its ``user``, which are texts, are SQL for queries with
    parameters; ``relation`` is the table's oid, and ``shown`` its name in words.
    """

    rows: str
    field: "Field"
    relation: int
    shown: str
    table: str
    name: str
    key: str
    user: str

    @override
    def __str__(self) -> str:
        return str(self.field)

    def select(self, columns: str) -> str:
        """Return a query for the columns of all rows."""
        return f"select {columns} from {self.table}"  # noqa: S608 -- quoted


class Row(NamedTuple):
    """A row that names the object ``oid``; its ``key``, and the key or name of its ``user``, are texts."""

    oid: int
    database: str
    table: str
    column: str
    key: str | None
    user: str | None


def naming_columns(alias: str, *, anywhere: bool = False) -> tuple[list[NamingColumn], list[str]]:
    """Return the columns that name files on ``alias``, and what cannot be known of others, in words.

    They are those of file fields and of ``PG_LO_STORAGE_REFERENCES``, in all schemas that share the catalogue, or have
    none; ``anywhere`` also in those that have their own. Rows may be on another database than their files.

    :raises ImproperlyConfigured: the setting ``PG_LO_STORAGE_REFERENCES`` is wrong.
    """
    fields: dict[tuple[str, FileColumn], Field] = {}
    for field in [*file_fields(alias), *map(referring_field, referring_paths())]:
        for rows in _databases_of_rows(field, alias):
            fields.setdefault((rows, FileColumn.of(field)), field)
    columns, problems = list[NamingColumn](), list[str]()
    for rows in dict.fromkeys(rows for rows, _ in fields):
        some = sorted((field for (there, _), field in fields.items() if there == rows), key=str)
        for field, found, known in _found(rows, some, anywhere=anywhere):
            _, _, relation, shown = found.more
            is_twin = found.column.table != field.model._meta.db_table
            if reason := _problem(found):
                problems.append(f"{field}{f' in {shown}' if is_twin else ''}: {reason}")
            if found.may_read and found.is_readable:
                columns.append(
                    NamingColumn(
                        rows,
                        field,
                        int(relation),
                        shown if is_twin else found.column.table,
                        found.table_for_params(rows),
                        found.text(rows).replace("%", "%%"),
                        _key(rows, field, known),
                        _user(rows, field, known),
                    )
                )
    return columns, problems


def rows_that_name(columns: Iterable[NamingColumn], oids: Collection[int]) -> Iterator[Row]:
    """Yield the rows that name one of the objects, up to :data:`MOST_ROWS` of each column."""
    for column in columns if oids else ():
        condition, params = naming(column.name, oids)
        query = column.select(f"{oid_in(column.name)}::int8, {column.key}, {column.user}")
        for oid, key, user in ask(column.rows, f"{query} where {condition} limit {MOST_ROWS}", *params):
            yield Row(int(oid), column.rows, column.shown, str(column.field.column), key, user)


def rows_in_oid_columns(alias: str, besides: Iterable[NamingColumn], oids: Collection[int]) -> Iterator[Row]:
    """Yield the rows of columns of type ``oid``, or a domain of it such as ``lo``, that have one of the objects.

    They are those of any schema that the role may read, but the catalogue's, and those of ``besides``.
    """
    known = [(each.relation, str(each.field.column)) for each in besides if each.rows == alias]
    relations, attributes = as_array(relation for relation, _ in known), [attribute for _, attribute in known]
    found = ask(alias, _OID_COLUMNS, relations, attributes)
    for table, column, keys in found:
        name, parts = quoted(column).replace("%", "%%"), [f"{key}::text".replace("%", "%%") for key in keys]
        key = f"concat_ws(', ', {', '.join(parts)})" if parts else "null::text"
        query = f"select {name}::oid::int8, {key} from {table.replace('%', '%%')}"  # noqa: S608 -- quoted
        query += f" where {name}::oid = any(%s::text::oid[]) limit {MOST_ROWS}"
        for oid, row in ask(alias, query, as_array(oids)):
            yield Row(int(oid), alias, table, column, row, None)


def usernames(alias: str, keys: Iterable[str | None]) -> dict[str, str]:
    """Return, by their keys as text, the names of those users that ``alias`` has."""
    wanted, model = {key for key in keys if key is not None}, user_model()
    if model is None or not wanted or not existing_columns(alias, [FileColumn.of(model._meta.pk)]):
        return {}
    users = models.QuerySet[Any](model, using=alias).filter(pk__in=wanted)
    return {str(user.pk): str(user.get_username()) for user in users.iterator()}


def user_fields(model: type[models.Model]) -> "list[Field]":
    """Return the fields of the model's own table for users that a row refers to, or for the user that it is."""
    users, model = user_model(), concrete(model)
    if users is None:
        return []
    if model is concrete(users):
        return list(model._meta.pk_fields)
    return [
        each
        for each in model._meta.local_concrete_fields
        if isinstance(each, models.ForeignKey) and each.related_model is users and each.target_field.primary_key
    ]


def user_model() -> Any:
    """Return the model of users; ``None`` where the project has none."""
    try:
        return apps.get_model(settings.AUTH_USER_MODEL)
    except (LookupError, ValueError):
        return None


def _problem(found: ExistingColumn) -> str | None:
    if not found.may_read:
        return "the role may not read it"
    if not found.is_readable:
        return "it is no plain table's column of text or numbers"
    return "row-level security may hide rows" if found.hides_rows else None


def _databases_of_rows(field: "Field", alias: str) -> Iterator[str]:
    yield alias
    if not (isinstance(field, models.FileField) and follows_rows(field)):
        rows: str = router.db_for_write(field.model)
        if rows != alias and connections[rows].vendor == "postgresql" and not is_same_database(alias, rows):
            yield rows


def _found(rows: str, fields: "list[Field]", *, anywhere: bool) -> "Iterator[tuple[Field, ExistingColumn, set[str]]]":
    """Yield the fields with each column that the database has for them, and which columns of its rows are for texts."""
    users = user_model()
    user = () if users is None else (FileColumn.of(users._meta.pk),)
    columns = {FileColumn.of(each) for field in fields for each in (field, *_keys(field), *_user_fields(field))}
    wanted = sorted(columns.union(user))
    existing = existing_columns(rows, wanted, OWN_TYPE, *_PLACE, in_all_schemas=True, whatever_catalogue=anywhere)
    meant = [(wanted[int(found.more[1]) - 1], found) for found in existing]
    # Whose user a key of another schema's row means cannot be told where more than one of them has users.
    has_many_users = sum(column in user for column, _ in meant) > 1
    for field in fields:
        for found in (found for column, found in meant if column == FileColumn.of(field)):
            texts = {
                each.column.column
                for each in existing
                if each.more[2] == found.more[2] and each.may_read and each.more[0]
            }
            if has_many_users and found.column.table != field.model._meta.db_table:
                texts -= {str(each.column) for each in _user_fields(field)}
            yield field, found, texts


def _keys(field: "Field") -> "list[Field]":
    return list(field.model._meta.pk_fields)


def _user_fields(field: "Field") -> "list[Field]":
    """Return the field for the one user that a row refers to, or is."""
    own = user_fields(field.model)
    return own if len(own) == 1 else []


def _key(rows: str, field: "Field", known: set[str]) -> str:
    keys = [str(each.column) for each in _keys(field)]
    if not known.issuperset(keys):
        return "null::text"
    return f"concat_ws(', ', {', '.join(f'{_quoted(rows, column)}::text' for column in keys)})"


def _user(rows: str, field: "Field", known: set[str]) -> str:
    columns = [str(each.column) for each in _user_fields(field) if str(each.column) in known]
    return f"{_quoted(rows, columns[0])}::text" if columns else "null::text"


def _quoted(alias: str, name: str) -> str:
    return connections[alias].ops.quote_name(name).replace("%", "%%")
