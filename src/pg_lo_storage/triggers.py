"""The scripts of :mod:`pg_lo_storage.operations`, each one ``DO`` statement.

What they have to know of the database they find there when they run, so that ``sqlmigrate`` shows all there is.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Final

from pg_lo_storage.trigger_functions import FUNCTIONS, GUARD, PREFIX, fill

__all__ = ["Quote", "add_guard_column", "install", "list_columns", "refresh", "remove", "remove_guard_column"]

Quote = Callable[[str], str]
"""Makes an SQL literal of a string."""

_IDENTIFIER: Final = 63  # bytes of one that PostgreSQL keeps
_EVENTS: Final = {
    "inserted": "after insert on %s referencing new table as pg_lo_new",
    "updated": "after update on %s referencing old table as pg_lo_old new table as pg_lo_new",
    "deleted": "after delete on %s referencing old table as pg_lo_old",
}
_TRUNCATE_EVENTS: Final = {"truncating": "before truncate on %s", "truncated": "after truncate on %s"}

_PLACE: Final = """coalesce(
        (select relnamespace from pg_catalog.pg_class where oid = to_regclass('pg_lo_storage_file')),
        (select oid from pg_catalog.pg_namespace where nspname = current_schema()))::regnamespace"""

# The table and all its partitions and children: a statement fires the triggers of the table that it names.
_FAMILY: Final = """with recursive family (oid) as (
            select to_regclass(@table@)::oid
            union select inhrelid from pg_catalog.pg_inherits join family on inhparent = family.oid
        ) select c.oid::regclass as relation, coalesce(pg_partition_root(c.oid), c.oid)::oid as root
            from family join pg_catalog.pg_class as c on c.oid = family.oid where c.relkind in ('r', 'p')"""

_NUMBER: Final = """(select attnum from pg_catalog.pg_attribute
            where attrelid = member.root and attname = @column@ and not attisdropped)"""

# The column may have had another name when they were made.
_TRIGGERS: Final = r"""select t.tgname as name, p.pronamespace as place from pg_catalog.pg_trigger as t
            join pg_catalog.pg_proc as p on p.oid = t.tgfoid
            where t.tgrelid = member.relation and starts_with(p.proname, @prefix@) and (t.tgname = any(@all_names@)
                or split_part(encode(t.tgargs, 'escape'), E'\\000', 1) = number::text
                and split_part(encode(t.tgargs, 'escape'), E'\\000', 2) = member.root::text"""

# In a database that was restored from a dump, and whose column was renamed since, theirs cannot be known any more.
_LOST: Final = r"""split_part(encode(t.tgargs, 'escape'), E'\\000', 2) <> member.root::text and not exists (
                select from pg_catalog.pg_attribute as a where a.attrelid = member.root and not a.attisdropped
                and encode(convert_to(a.attname::text, getdatabaseencoding()), 'escape')
                    = split_part(encode(t.tgargs, 'escape'), E'\\000', 3))"""

_DROP_UNUSED: Final = """for item in select p.oid::regprocedure as name from pg_catalog.pg_proc as p
        where starts_with(p.proname, @prefix@) and p.prorettype = 'trigger'::regtype and p.pronamespace = any(places)
        and not exists (select from pg_catalog.pg_trigger where tgfoid = p.oid)
    loop
        execute format('drop function %s', item.name);
    end loop;
    for item in select p.oid::regprocedure as name from pg_catalog.pg_proc as p
        where p.proname in ('pg_lo_storage_columns', 'pg_lo_storage_existing', 'pg_lo_storage_kept',
            'pg_lo_storage_settle', 'pg_lo_storage_truncating') and p.pronamespace = any(places)
        and not exists (select from pg_catalog.pg_proc as guard where starts_with(guard.proname, @prefix@)
            and guard.prorettype = 'trigger'::regtype and guard.pronamespace = p.pronamespace)
    loop
        execute format('drop function %s', item.name);
    end loop;"""

_INSTALL: Final = """
declare
    place constant regnamespace := @place@;
    places oid[] := array[place];
    owner constant text := @owner@;
    definition text;
    member record;
    item record;
    number int2;
begin
    if to_regclass(@table@) is null then
        raise undefined_table using message = format('table %s does not exist', @table@);
    end if;
    foreach definition in array @definitions@ loop
        execute replace(definition, '"@schema@"', place::text);
    end loop;
    if owner is not null then
        execute format('alter function %s.%I() owner to %I', place, @guard@, owner);
        execute format('revoke all on function %s.%I() from public', place, @guard@);
    end if;
    for member in @family@ loop
        number := @number@;
        if number is null then
            raise undefined_column using message = format('table %s has no column %I', @table@, @column@);
        end if;
        for item in select * from unnest(@names@, @events@) as wanted (name, event) loop
            execute format('create or replace trigger %I ' || item.event
                || ' for each statement execute function %s.%I(%L, %L, %L)',
                item.name, member.relation, place, @guard@, number, member.root, @column@);
        end loop;
        for item in @triggers@ or @lost@) loop
            if item.name <> all(@names@) then
                execute format('drop trigger %I on %s', item.name, member.relation);
                places := places || item.place;
            end if;
        end loop;
    end loop;
    @drop_unused@
end
"""

_REMOVE: Final = """
declare
    places oid[] := array[@place@];
    member record;
    item record;
    number int2;
begin
    for member in @family@ loop
        number := @number@;
        for item in @triggers@) loop
            execute format('drop trigger %I on %s', item.name, member.relation);
            places := places || item.place;
        end loop;
    end loop;
    @drop_unused@
end
"""

# So that a dump has triggers that find their columns by name, and that what was restored from one follows renames.
_REFRESH: Final = r"""
declare
    item record;
begin
    for item in select pg_get_triggerdef(t.oid) as definition, root.oid as root, a.attnum, a.attname
        from pg_catalog.pg_trigger as t join pg_catalog.pg_proc as p on p.oid = t.tgfoid
        cross join lateral (select coalesce(pg_partition_root(t.tgrelid), t.tgrelid)::oid) as root (oid)
        cross join lateral (select string_to_array(encode(t.tgargs, 'escape'), E'\\000')) as args (of)
        join pg_catalog.pg_attribute as a on a.attrelid = root.oid and not a.attisdropped and
            case when of[2] = root.oid::text then a.attnum = of[1]::int2
            else encode(convert_to(a.attname::text, getdatabaseencoding()), 'escape') = of[3] end
        where starts_with(p.proname, @prefix@) and p.pronamespace::regnamespace = any(@places@) and not t.tgisinternal
        and (of[2] <> root.oid::text
            or of[3] <> encode(convert_to(a.attname::text, getdatabaseencoding()), 'escape'))
    loop
        execute regexp_replace('CREATE OR REPLACE' || substr(item.definition, length('CREATE') + 1),
            '\(''[0-9]+'', ''[0-9]+'', .*\)$', replace(
                format('(%L, %L, %L)', item.attnum, item.root, item.attname), '\', '\\'));
    end loop;
end
"""

# A table that is not there yet will be where Django makes it.
_LIST_COLUMNS: Final = """
declare
    item record;
    body text;
begin
    select format('select * from unnest(%L::text[], %L::text[], %L::oid[], %L::int2[])', array_agg(relation),
        array_agg(attribute), array_agg(relid), array_agg(attnum)) into strict body
    from (
        select case when c.oid is not null then format('%I.%I', n.nspname, c.relname)
            when cardinality(parse_ident(wanted.name)) > 1 then wanted.name
            else format('%I.%s', current_schema(), wanted.name) end as relation,
            attribute, c.oid as relid, a.attnum
        from unnest(@tables@, @columns@) as wanted (name, attribute)
        left join pg_catalog.pg_class as c on c.oid = to_regclass(wanted.name)
        left join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        left join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attname = attribute and not a.attisdropped
    ) as listed;
    for item in select distinct p.pronamespace::regnamespace as place from pg_catalog.pg_proc as p
        where p.proname = 'pg_lo_storage_settle' and p.pronamespace::regnamespace = any(@places@)
        and not exists (select from pg_catalog.pg_proc as same where same.proname = 'pg_lo_storage_columns'
            and same.pronamespace = p.pronamespace and same.prosrc = body)
    loop
        execute format('create or replace function %s.pg_lo_storage_columns()'
            ' returns table (relation text, attribute text, relid oid, attnum int2)'
            ' language sql stable set search_path = pg_catalog, pg_temp as %L', item.place, body);
    end loop;
    body := format('select %L::oid[]', array(select split_part(name, '.', 1)::oid from unnest(@kept@) as name));
    for item in select distinct p.pronamespace::regnamespace as place from pg_catalog.pg_proc as p
        where p.proname = 'pg_lo_storage_settle' and p.pronamespace::regnamespace = any(@places@)
        and not exists (select from pg_catalog.pg_proc as same where same.proname = 'pg_lo_storage_kept'
            and same.pronamespace = p.pronamespace and same.prosrc = body)
    loop
        execute format('create or replace function %s.pg_lo_storage_kept() returns oid[]'
            ' language sql stable set search_path = pg_catalog, pg_temp as %L', item.place, body);
    end loop;
end
"""

_GUARD_COLUMNS: Final = r"""select distinct a.attname as name from pg_catalog.pg_depend as d
        left join pg_catalog.pg_attrdef as value
            on d.classid = 'pg_catalog.pg_attrdef'::regclass and value.oid = d.objid
        join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = coalesce(value.adnum, d.objsubid)
        where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = to_regclass(@table@)
        and d.refobjsubid = (select attnum from pg_catalog.pg_attribute
            where attrelid = to_regclass(@table@) and attname = @column@ and not attisdropped)
        and (d.classid = 'pg_catalog.pg_attrdef'::regclass
            or d.classid = 'pg_catalog.pg_class'::regclass and d.objid = d.refobjid)
        and a.attgenerated = 's' and a.atttypid = 'oid'::regtype and starts_with(a.attname, 'pg_lo_storage_')"""

_ADD_GUARD_COLUMN: Final = r"""
begin
    if not exists (@guard_columns@) then
        execute format($sql$alter table %s add column %I oid generated always as (
            case when split_part(%I::text collate "C", '.', 1) ~ '^[1-9][0-9]{0,9}$' then
                case when split_part(%3$I::text collate "C", '.', 1)::int8 <= 4294967295 then
                    split_part(%3$I::text collate "C", '.', 1)::int8::oid end end) stored$sql$,
            @table@, @name@, @column@);
    end if;
end
"""

_REMOVE_GUARD_COLUMN: Final = """
declare
    item record;
begin
    for item in @guard_columns@ loop
        execute format('alter table %s drop column %I', @table@, item.name);
    end loop;
end
"""


def install(quote: Quote, table: str, column: str, *, owner: str | None, truncate: bool) -> str:
    """Return the script that makes the triggers for a column, or brings them up to date; ``table`` is quoted."""
    events = _EVENTS | _TRUNCATE_EVENTS if truncate else _EVENTS
    guard = PREFIX if owner is None else _identifier(f"{PREFIX}_as_", owner)
    function = GUARD.replace("@guard@", guard).replace("@security@", "invoker" if owner is None else "definer")
    return _script(
        _INSTALL,
        quote,
        table=table,
        column=column,
        guard=guard,
        owner=owner,
        definitions=[*FUNCTIONS, function],
        names=[_trigger(event, column) for event in events],
        events=list(events.values()),
        all_names=[_trigger(event, column) for event in _EVENTS | _TRUNCATE_EVENTS],
    )


def remove(quote: Quote, table: str, column: str) -> str:
    """Return the script that drops a column's triggers, and the functions that no trigger uses any more."""
    names = [_trigger(event, column) for event in _EVENTS | _TRUNCATE_EVENTS]
    return _script(_REMOVE, quote, table=table, column=column, all_names=names)


def list_columns(quote: Quote, columns: Iterable[tuple[str, str]], kept: Iterable[str]) -> str:
    """Return the script that tells the triggers which columns name files: quoted tables with their columns.

    ``kept`` are the names of files that are never unlinked.
    """
    listed = list(columns)
    tables, names = [table for table, _ in listed], [name for _, name in listed]
    return _script(_LIST_COLUMNS, quote, tables=tables, columns=names, kept=list(kept))


def refresh(quote: Quote) -> str:
    """Return the script that tells triggers their columns' names of now."""
    return _script(_REFRESH, quote)


def add_guard_column(quote: Quote, table: str, column: str) -> str:
    """Return the script that adds the generated column with the oids that a column names."""
    return _script(_ADD_GUARD_COLUMN, quote, table=table, column=column, name=_identifier("pg_lo_storage_", column))


def remove_guard_column(quote: Quote, table: str, column: str) -> str:
    """Return the script that drops it."""
    return _script(_REMOVE_GUARD_COLUMN, quote, table=table, column=column)


def _trigger(event: str, column: str) -> str:
    return _identifier(f"pg_lo_storage_{event}_", column)


def _identifier(prefix: str, name: str) -> str:
    """Return an identifier for what belongs to ``name``, which may be any identifier itself."""
    whole = prefix + name
    if re.fullmatch("[a-z0-9_]+", name) and len(whole) <= _IDENTIFIER:
        return whole
    return prefix + hashlib.sha256(name.encode()).hexdigest()[: _IDENTIFIER - len(prefix)][:32]


def _script(template: str, quote: Quote, **values: str | list[str] | None) -> str:
    fragments = {
        "place": _PLACE,
        "places": "current_schemas(false)::regnamespace[]",
        "family": _FAMILY,
        "number": _NUMBER,
        "triggers": _TRIGGERS,
        "lost": _LOST,
        "drop_unused": _DROP_UNUSED,
        "guard_columns": _GUARD_COLUMNS,
    }
    literals = {name: _literal(quote, value) for name, value in {"prefix": PREFIX, **values}.items()}
    # A value may look like a part: they come last, all at once.
    template = fill(fill(template, fragments), literals)
    tag = "$do$"
    while tag in template:
        tag = f"${tag[1:-1]}_$"
    return f"do {tag}{template}{tag}"


def _literal(quote: Quote, value: str | list[str] | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return quote(value)
    return f"array[{', '.join(map(quote, value))}]::text[]"
