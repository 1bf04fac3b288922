"""What the scripts of :mod:`.triggers` are: each the body of a ``DO`` statement, with ``@name@`` for each value.

Values are SQL literals.
"""

from typing import Final

from pg_lo_storage.operations.trigger_claims import ALIKE
from pg_lo_storage.operations.trigger_functions import fill

__all__ = ["CLAIM", "FRAGMENTS", "INSTALL", "LIST_COLUMNS", "REFRESH", "REMOVE"]

# Whatever the session's search path holds: names are looked up in it before, and by names of pg_catalog alone.
_BEGIN: Final = """perform pg_catalog.set_config('standard_conforming_strings', 'on', true);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);"""
_END: Final = """perform set_config('standard_conforming_strings', strings, true);
    perform set_config('search_path', path, true);"""
_DECLARE: Final = """path constant pg_catalog.text := pg_catalog.current_setting('search_path');
    strings constant pg_catalog.text := pg_catalog.current_setting('standard_conforming_strings');
    home constant pg_catalog.name := pg_catalog.current_schema();
    searched constant pg_catalog.oid[] := array(select n.oid from pg_catalog.pg_namespace as n
        where n.nspname operator(pg_catalog.=) any(pg_catalog.current_schemas(false)));
    catalogue constant pg_catalog.regclass := pg_catalog.to_regclass('pg_lo_storage_file');
    item pg_catalog.record;"""

_TARGET: Final = "target constant pg_catalog.regclass := pg_catalog.to_regclass(@table@);"

_PLACE: Final = """coalesce((select relnamespace from pg_class where oid = catalogue),
        (select oid from pg_namespace where nspname = home))"""

# The table and all its partitions and children: a statement fires the triggers of the table that it names.
_FAMILY: Final = """with recursive family (oid) as (
            select target::oid
            union select inhrelid from pg_catalog.pg_inherits join family on inhparent = family.oid
        ) select c.oid::regclass as relation, coalesce(pg_partition_root(c.oid), c.oid)::oid as root
            from family join pg_catalog.pg_class as c on c.oid = family.oid where c.relkind in ('r', 'p')"""

_NUMBER: Final = """(select attnum from pg_attribute
            where attrelid = member.root and attname = @column@ and not attisdropped)"""

# The column may have had another name when they were made.
_TRIGGERS: Final = r"""select t.tgname as name, p.pronamespace as place from pg_catalog.pg_trigger as t
            join pg_catalog.pg_proc as p on p.oid = t.tgfoid
            where t.tgrelid = member.relation and starts_with(p.proname, @prefix@) and (t.tgname = any(@all_names@)
                or split_part(encode(t.tgargs, 'escape'), E'\\000', 1) = number::text
                and split_part(encode(t.tgargs, 'escape'), E'\\000', 2) = member.root::text"""

# In a database that was restored from a dump, and whose column was renamed since, theirs cannot be known any more.
_LOST: Final = r"""split_part(encode(t.tgargs, 'escape'), E'\\000', 2) <> member.root::text and not exists (
                select from pg_attribute as a where a.attrelid = member.root and not a.attisdropped
                and encode(convert_to(a.attname::text, getdatabaseencoding()), 'escape')
                    = split_part(encode(t.tgargs, 'escape'), E'\\000', 3))"""

_DROP_UNUSED: Final = """for item in select p.oid::regprocedure as name from pg_proc as p
        where starts_with(p.proname, @prefix@) and p.prorettype = 'trigger'::regtype and p.pronamespace = any(places)
        and not exists (select from pg_trigger where tgfoid = p.oid)
    loop
        execute format('drop function %s', item.name);
    end loop;
    for item in select p.oid::regprocedure as name from pg_proc as p
        where p.proname = any(@helpers@) and p.pronamespace = any(places)
        and not exists (select from pg_proc as guard where starts_with(guard.proname, @prefix@)
            and guard.prorettype = 'trigger'::regtype and guard.pronamespace = p.pronamespace)
    loop
        execute format('drop function %s', item.name);
    end loop;"""

_INSTALL: Final = """
declare
    @declare@
    @target@
    place pg_catalog.regnamespace;
    places pg_catalog.oid[];
    owner constant pg_catalog.text := @owner@;
    same constant pg_catalog.text[] := @same@;
    alike pg_catalog.int2[];
    definition pg_catalog.text;
    member pg_catalog.record;
    number pg_catalog.int2;
begin
    @begin@
    if target is null then
        raise undefined_table using message = format('table %s does not exist', @table@);
    end if;
    if (owner is not null or same is not null) and catalogue is null then
        raise object_not_in_prerequisite_state using
            message = format('triggers with %s need the catalogue of stored files',
                coalesce(format('owner=%L', owner), 'same=(...)')),
            hint = 'Without it every large object of their role is a file to whoever may write its number into a row.'
                ' Add "pg_lo_storage" to INSTALLED_APPS, and ("pg_lo_storage", "0001_initial") to the migration''s'
                ' dependencies.';
    end if;
    place := @place@;
    places := array[place];
    -- To replace a function leaves it to its owner, who may replace it again.
    for item in select p.oid::regprocedure as name, pg_get_userbyid(p.proowner) as owner from pg_proc as p
        where p.pronamespace = place and (p.proname = any(@helpers@) or p.proname = @guard@)
        and pg_get_userbyid(p.proowner) <> case p.proname when @guard@ then coalesce(owner, current_user)
            else current_user end and (p.proname <> @guard@ or pg_get_userbyid(p.proowner) <> current_user)
    loop
        raise insufficient_privilege using
            message = format('function %s belongs to role %I, which could change what triggers do',
                item.name, item.owner),
            hint = format('Migrate as that role, or drop the function, or ALTER FUNCTION %s OWNER TO %I.',
                item.name, current_user);
    end loop;
    foreach definition in array @definitions@ loop
        execute replace(definition, '"@schema@"', place::text);
    end loop;
    if owner is not null then
        execute format('alter function %s.%I() owner to %I', place, @guard@, owner);
    end if;
    for item in select p.oid::regprocedure as name, p.proname = @guard@ as is_guard from pg_proc as p
        where p.pronamespace = place and (p.proname = any(@helpers@) or p.proname = @guard@)
    loop
        execute format('revoke all on function %s from public', item.name);
        if owner is not null and not item.is_guard then
            execute format('grant execute on function %s to %I', item.name, owner);
        end if;
    end loop;
    for member in @family@ loop
        number := @number@;
        if number is null then
            raise undefined_column using message = format('table %s has no column %I', @table@, @column@);
        end if;
        alike := array(select (select a.attnum from pg_attribute as a join pg_class as r on r.oid = a.attrelid
                where a.attrelid = member.root and a.attname = wanted.name and not a.attisdropped and @alike@)
            from unnest(same) with ordinality as wanted (name, n) order by n);
        if array_position(alike, null) is not null then
            raise undefined_column using
                message = format('table %s has no column %I of text, integers, uuid or boolean, for same=(...)',
                    member.relation, same[array_position(alike, null)]);
        end if;
        for item in select * from unnest(@names@, @events@) as wanted (name, event) loop
            execute format('create or replace trigger %I ' || item.event
                || ' for each statement execute function %s.%I(%L, %L, %L'
                || case when same is null then ')' else ', %L, %L)' end,
                item.name, member.relation, place, @guard@, number, member.root, @column@, alike, same);
        end loop;
        for item in @triggers@ or @lost@) loop
            if item.name <> all(@names@) then
                execute format('drop trigger %I on %s', item.name, member.relation);
                places := places || item.place;
            end if;
        end loop;
    end loop;
    @drop_unused@
    @end@
end
"""

_CLAIM: Final = """
declare
    @declare@
    @target@
begin
    @begin@
    for item in select pronamespace::regnamespace as place from pg_proc
        where proname = 'pg_lo_storage_claim' and pronamespace = @place@
    loop
        execute format('select %s.pg_lo_storage_claim($1, $2, $3, $4, null)', item.place)
            using item.place, catalogue, coalesce(pg_partition_root(target), target), @column@::name;
    end loop;
    @end@
end
"""

_REMOVE: Final = """
declare
    @declare@
    @target@
    places pg_catalog.oid[];
    member pg_catalog.record;
    number pg_catalog.int2;
begin
    @begin@
    places := array[@place@];
    for member in @family@ loop
        number := @number@;
        for item in @triggers@) loop
            execute format('drop trigger %I on %s', item.name, member.relation);
            places := places || item.place;
        end loop;
    end loop;
    @drop_unused@
    @end@
end
"""

# So that a dump has triggers that find their columns by name, and that what was restored from one follows renames.
_REFRESH: Final = r"""
declare
    @declare@
begin
    @begin@
    for item in select pg_get_triggerdef(t.oid) as definition, array[a.attnum::text, root.oid::text, a.attname::text]
            || case when t.tgnargs > 3 then array[alike.numbers::text, alike.names::text] else '{}' end as args
        from pg_trigger as t join pg_proc as p on p.oid = t.tgfoid
        cross join lateral (select coalesce(pg_partition_root(t.tgrelid), t.tgrelid)::oid) as root (oid)
        cross join lateral (select case when starts_with(p.proname, @prefix@) then array(
            select convert_from(decode(arg, 'escape'), getdatabaseencoding())
            from string_to_table(encode(t.tgargs, 'escape'), E'\\000') with ordinality as args (arg, n)
            where n <= t.tgnargs order by n) end) as args (of)
        join pg_attribute as a on a.attrelid = root.oid and not a.attisdropped and
            case when of[2] = root.oid::text then a.attnum = of[1]::int2 else a.attname = of[3] end
        cross join lateral (
            select array_agg(a.attnum order by n) as numbers, array_agg(a.attname::text order by n) as names
            from unnest(of[4]::int2[], of[5]::text[]) with ordinality as wanted (number, name, n)
            left join pg_attribute as a on a.attrelid = root.oid and not a.attisdropped and
                case when of[2] = root.oid::text then a.attnum = wanted.number else a.attname = wanted.name end
        ) as alike
        where starts_with(p.proname, @prefix@) and p.pronamespace = any(searched) and not t.tgisinternal
        and array_position(alike.numbers, null) is null and of <> array[a.attnum::text, root.oid::text, a.attname::text]
            || case when t.tgnargs > 3 then array[alike.numbers::text, alike.names::text] else '{}' end
    loop
        execute regexp_replace('CREATE OR REPLACE' || substr(item.definition, length('CREATE') + 1),
            E'\\(''[0-9]+'', ''[0-9]+'', .*\\)$', replace((
                select format('(%s)', string_agg(quote_literal(arg), ', ' order by n))
                from unnest(item.args) with ordinality as args (arg, n)), E'\\', E'\\\\'));
    end loop;
    @end@
end
"""

# A table that is not there yet will be where Django makes it.
_LIST_COLUMNS: Final = """
declare
    @declare@
    found constant pg_catalog.oid[] := array(select pg_catalog.to_regclass(wanted.name)::pg_catalog.oid
        from pg_catalog.unnest(@tables@) with ordinality as wanted (name, n) order by wanted.n);
    bodies pg_catalog.text[];
    grantee pg_catalog.text;
begin
    @begin@
    select array[format('select * from unnest(%L::text[], %L::text[], %L::oid[], %L::int2[])', array_agg(relation),
            array_agg(attribute), array_agg(relid), array_agg(attnum)), format('select %L::oid[]',
            array(select split_part(name, '.', 1)::oid from unnest(@kept@) as name))] into strict bodies
    from (
        select case when c.oid is not null then format('%I.%I', n.nspname, c.relname)
            when cardinality(parse_ident(wanted.name)) > 1 then wanted.name
            else format('%I.%s', home, wanted.name) end as relation,
            attribute, c.oid as relid, a.attnum
        from unnest(@tables@, @columns@, found) as wanted (name, attribute, relid)
        left join pg_class as c on c.oid = wanted.relid
        left join pg_namespace as n on n.oid = c.relnamespace
        left join pg_attribute as a on a.attrelid = c.oid and a.attname = attribute and not a.attisdropped
    ) as listed;
    for item in select settle.pronamespace::regnamespace as place, settle.proacl, settle.proowner, new.*,
        same.proowner as is_owned_by
        from pg_proc as settle cross join (values
            ('pg_lo_storage_columns', 'table (relation text, attribute text, relid oid, attnum int2)', bodies[1]),
            ('pg_lo_storage_kept', 'oid[]', bodies[2])) as new (name, type, body)
        left join pg_proc as same on same.proname = new.name and same.pronamespace = settle.pronamespace
        where settle.proname = 'pg_lo_storage_settle' and settle.pronamespace = any(searched)
        and (same.prosrc is distinct from new.body or same.proowner <> settle.proowner)
    loop
        if item.is_owned_by <> item.proowner then
            raise insufficient_privilege using
                message = format('function %s.%I belongs to role %I, which could change what triggers do',
                    item.place, item.name, pg_get_userbyid(item.is_owned_by)),
                hint = format('Drop it, or ALTER FUNCTION %s.%I OWNER TO %I.',
                    item.place, item.name, pg_get_userbyid(item.proowner));
        end if;
        execute format('create or replace function %s.%I() returns ' || item.type
            || ' language sql stable set search_path = pg_catalog, pg_temp as %L', item.place, item.name, item.body);
        if item.is_owned_by is null then
            execute format('revoke all on function %s.%I() from public', item.place, item.name);
            for grantee in select quote_ident(pg_get_userbyid(acl.grantee)) from aclexplode(item.proacl) as acl
                where acl.grantee not in (0, item.proowner) and acl.privilege_type = 'EXECUTE'
            loop
                execute format('grant execute on function %s.%I() to %s', item.place, item.name, grantee);
            end loop;
            execute format('alter function %s.%I() owner to %I', item.place, item.name,
                pg_get_userbyid(item.proowner));
        end if;
    end loop;
    @end@
end
"""

FRAGMENTS: Final = {
    "declare": _DECLARE,
    "target": _TARGET,
    "begin": _BEGIN,
    "end": _END,
    "place": _PLACE,
    "family": _FAMILY,
    "number": _NUMBER,
    "triggers": _TRIGGERS,
    "lost": _LOST,
    "drop_unused": _DROP_UNUSED,
    "alike": ALIKE,
}
"""What every script may have in it."""

INSTALL: Final = fill(_INSTALL, FRAGMENTS)
CLAIM: Final = fill(_CLAIM, FRAGMENTS)
REMOVE: Final = fill(_REMOVE, FRAGMENTS)
REFRESH: Final = fill(_REFRESH, FRAGMENTS)
LIST_COLUMNS: Final = fill(_LIST_COLUMNS, FRAGMENTS)
