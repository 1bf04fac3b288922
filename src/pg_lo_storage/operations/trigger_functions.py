"""The functions in the database by which large objects follow the names in a column: what :mod:`.trigger_guard` calls.

All are in one schema, that of the catalogue or where it would be made, and find it at run time, so that schemas, tables
and columns may be renamed. A column is known by its number, and by its name where its table has another oid than when
the trigger was made: in a database that was restored from a dump.
"""

import re
from collections.abc import Mapping
from typing import Final

from pg_lo_storage.databases.search import LITERAL_OIDS, READABLE
from pg_lo_storage.lifecycle.expecting import EXPECTED

__all__ = ["FUNCTIONS", "PARTS", "PREFIX", "fill"]

PREFIX: Final = "pg_lo_storage_guard"
"""How the names of trigger functions begin."""

_OPTIONS: Final = "set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set row_security = off"

# The rule of names.parse_name().
_VALID: Final = r"""case when name ~ '^[1-9][0-9]{0,9}(\.[^/\\\u0001-\u001f\u007f-\u009f]*)?$'
        then split_part(name, '.', 1)::int8 <= 4294967295
            and length(name) - length(split_part(name, '.', 1)) <= 101 end"""

# A transaction takes one lock for each object that it unlinks, and one more for each that has no catalogue row to lock.
_ROOM: Final = """if @count@ > current_setting('max_locks_per_transaction')::int8
        * (current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8) then
        raise configuration_limit_exceeded using
            message = format('%s large objects of table %s are more than the lock table holds',
                cardinality(@files@), relation),
            hint = 'Change, delete or copy rows in batches of 1,000, each in a transaction of its own, or raise'
                ' max_locks_per_transaction. TRUNCATE leaves large objects alone with'
                ' ManageLargeObjects(..., truncate="keep").';
    end if;"""

# Few are looked for by an index where the column has one, many in one pass over the table.
_NAMING: Final = """case when cardinality(loids) > 20 then format('split_part(%s, ''.'', 1) = any($1)', source)
            else (select string_agg(format('%1$s = %2$L or %1$s ~>=~ %3$L and %1$s ~<~ %4$L', source,
                loid, loid || '.', loid || '/'), ' or ') from unnest(loids) as loid) end"""

# STABLE: sees what the statement that calls it sees. A statement's AFTER trigger that is STABLE sees the files that
# there were when the statement began.
_EXISTING: Final = """
create or replace function "@schema@".pg_lo_storage_existing(files text[], catalogue regclass) returns text[]
language plpgsql stable @options@ as $body$
declare
    found_files text[];
begin
    execute 'select array_agg(file) from unnest($1) as file'
        ' join pg_largeobject_metadata as m on m.oid = split_part(file, ''.'', 1)::oid'
        ' and m.xmin is distinct from pg_current_xact_id_if_assigned()::xid'
        || coalesce(' join ' || catalogue::text || ' as f on f.loid = m.oid'
            ' and coalesce(f.loid::text || f.extension = file, true)', '')
        into found_files using files;
    return found_files;
end
$body$"""

# VOLATILE: a TRUNCATE's own snapshot is older than its lock on the table.
# What was in the table is remembered from before to after in a table that nobody but the trigger's role can have made:
# the session's settings are anybody's, who may run code in between.
_TRUNCATING: Final = """
create or replace function "@schema@".pg_lo_storage_truncating(
    relation regclass, attribute name, catalogue regclass, memory name, is_over boolean
) returns text[] language plpgsql volatile @options@ as $body$
declare
    files text[];
    item record;
begin
    if is_over then
        for item in select from pg_class as c join pg_roles as r on r.oid = c.relowner
            where c.oid = to_regclass(format('pg_temp.%I', memory)) and c.relkind = 'r' and r.rolname = current_user
        loop
            execute format('select files from pg_temp.%I', memory) into files;
            execute format('drop table pg_temp.%I', memory);
        end loop;
        return files;
    end if;
    execute format($sql$select array_agg(name) from (
            select distinct %I::text collate "C" as name from %s where %1$I is not null
        ) as named where @valid@$sql$, attribute, relation) into files;
    execute 'select array_agg(file) from unnest($1) as file'
        ' join pg_largeobject_metadata as m on m.oid = split_part(file, ''.'', 1)::oid'
        || coalesce(' join ' || catalogue::text || ' as f on f.loid = m.oid'
            ' and coalesce(f.loid::text || f.extension = file, true)', '')
        into files using files;
    if files is null then
        return null;
    end if;
    @room@
    execute format('create table pg_temp.%I (files text[]) on commit drop', memory);
    -- Default privileges may give it to others.
    for item in select case acl.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(acl.grantee)) end as role
        from pg_class as c cross join aclexplode(c.relacl) as acl
        where c.oid = to_regclass(format('pg_temp.%I', memory)) and acl.grantee <> c.relowner
    loop
        execute format('revoke all on pg_temp.%I from %s', memory, item.role);
    end loop;
    execute format('insert into pg_temp.%I values ($1)', memory) using files;
    return null;
end
$body$"""

# Locks as pg_lo_storage.lifecycle.sharing does; each statement has a snapshot of its own, and so sees what was
# committed while an earlier one waited.
_SETTLE: Final = """
create or replace function "@schema@".pg_lo_storage_settle(
    place regnamespace, catalogue regclass, relation regclass, attribute name,
    named text[], gone text[], replaced text[], replacing text[], is_truncated boolean
) returns void language plpgsql volatile @options@ as $body$
declare
    name_lock constant int4 := 1886154612;
    loids oid[];
    held oid[];
    lost text;
    misplaced record;
    reference record;
    selects text[] := '{}';
    kept oid[];
    source text;
begin
    if named is not null then
        loids := array(select distinct split_part(file, '.', 1)::oid as loid from unnest(named) as file order by loid);
        if catalogue is null then
            @room_to_name@
            perform pg_advisory_xact_lock_shared(name_lock, (loid::int8 - 2147483648)::int4)
                from unnest(loids) as loid;
            held := loids;
        else
            execute format('select array(select loid from %s where loid = any($1) order by loid for key share)',
                catalogue) into held using loids;
        end if;
        -- pg_describe_object looks past the snapshot, which is an old one in REPEATABLE READ.
        select string_agg(quote_literal(file), ', ') into lost from unnest(named) as file
            where split_part(file, '.', 1)::oid <> all(held)
            or pg_describe_object('pg_largeobject'::regclass, split_part(file, '.', 1)::oid, 0) is null;
        if lost is not null then
            raise foreign_key_violation using
                message = format('column %I of table %s cannot name %s: unlinked by another session',
                    attribute, relation, lost),
                hint = 'No row names the file any more. Save it again, and use its new name.';
        end if;
    end if;
    if replaced is not null then
        execute $sql$with file as materialized (select name
            from (select distinct unnest($1 || $2) as name) as given
            join pg_largeobject_metadata as m on m.oid = case when @valid@ then split_part(name, '.', 1)::oid end$sql$
            || coalesce(' join ' || catalogue::text || ' as f on f.loid = m.oid'
                ' and coalesce(f.loid::text || f.extension = name, true)', '')
            || ') select present, missing from unnest($1, $2) as pair (present, missing)'
            ' join file on name = present where not exists (select from file where name = missing) limit 1'
            into misplaced using replaced, replacing;
        if misplaced is not null then
            raise foreign_key_violation using
                message = format('column %I of table %s cannot name %L in the place of %L: there is no such file',
                    attribute, relation, misplaced.missing, misplaced.present),
                hint = 'Both stay. Use the name of a file that there is, or NULL or an empty one to give the file up.';
        end if;
    end if;
    -- An earlier snapshot shows none of the references that were committed since.
    if gone is null or current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        return;
    end if;
    loids := array(select distinct split_part(file, '.', 1)::oid as loid from unnest(gone) as file order by loid);
    if catalogue is null then
        loids := array(select m.oid from pg_largeobject_metadata as m where m.oid = any(loids) order by m.oid);
        @room_to_lock@
        perform pg_advisory_xact_lock(name_lock, (loid::int8 - 2147483648)::int4) from unnest(loids) as loid;
    else
        execute format('select array(select loid from %s where loid = any($1)'
            ' and coalesce(loid::text || extension = any($2), true) order by loid for update)', catalogue)
            into held using loids, gone;
        if is_truncated then
            -- They were files when the statement began, which may have emptied the catalogue too.
            execute format('select $2 || array(select loid from unnest($1) as loid'
                ' where not exists (select from %s as f where f.loid = loid.loid))', catalogue)
                into held using loids, held;
        end if;
        loids := held;
    end if;
    if loids = '{}' then
        return;
    end if;
    execute format('select %s.pg_lo_storage_kept()', place) into kept;
    for reference in execute format($sql$select a.attrelid::regclass as relation, a.attname as name, @readable@
            as is_readable, @literal_oids@ as defaults,
            case when c.collisdeterministic is false then ' collate "C"' else '' end as collation
        from (
            select a.attrelid, a.attnum from %1$s.pg_lo_storage_columns() as l
                join pg_attribute as a on a.attrelid = to_regclass(l.relation) and a.attname = l.attribute
            union select l.relid, l.attnum from %1$s.pg_lo_storage_columns() as l
            union select a.attrelid, a.attnum from pg_attribute as a where a.attrelid = $1 and a.attname = $2
        ) as listed join pg_attribute as a using (attrelid, attnum) join pg_class as r on r.oid = a.attrelid
        left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        left join pg_collation as c on c.oid = a.attcollation
        where not a.attisdropped$sql$, place) using relation, attribute
    loop
        if not reference.is_readable then
            raise warning 'kept large objects % of table %: to read column % of % is not safe, since it is no plain'
                ' table''s column of text or numbers', loids, relation, reference.name, reference.relation;
            return;
        end if;
        kept := kept || reference.defaults::oid[];
        source := format('%I::text', reference.name) || reference.collation;
        selects := selects || format('select split_part(%s, ''.'', 1) from %s where %s', source,
            reference.relation, @naming@);
    end loop;
    loids := array(select loid from unnest(loids) as loid where loid <> all(kept)
        and loid::text <> all(string_to_array(coalesce(current_setting('@expected@', true), ''), ' ')));
    if loids = '{}' then
        return;
    end if;
    execute format('select array(select name::oid from (select unnest($1) as name except (%s)) as unnamed)',
        array_to_string(selects, ' union all ')) into loids using loids::text[];
    @room_to_unlink@
    if catalogue is not null then
        execute format('delete from %s where loid = any($1)', catalogue) using loids;
    end if;
    -- lo_unlink closes the session's own descriptors of the object: their guards are to say so.
    perform lo_unlink(m.oid), (select count(set_config('pg_lo_storage.fd' || fd, '', true))
        from string_to_table(current_setting('pg_lo_storage.of' || m.oid, true), ' ') as fd
        where current_setting('pg_lo_storage.fd' || fd, true) like '%-' || m.oid)
        from pg_largeobject_metadata as m where m.oid = any(loids) order by m.oid;
end
$body$"""


def fill(template: str, parts: Mapping[str, str]) -> str:
    """Return the template with its ``@name@`` replaced by the parts that there are, in one pass."""
    return re.sub(r"@(\w+)@", lambda match: parts.get(match[1], match[0]), template)


def _room(count: str, files: str) -> str:
    return fill(_ROOM, {"count": count, "files": files})


PARTS: Final = {
    "options": _OPTIONS,
    "expected": EXPECTED,
    "readable": READABLE,
    "literal_oids": LITERAL_OIDS,
    "valid": _VALID,
    "naming": _NAMING,
    "room": _room("(case when catalogue is null then 2 else 1 end) * cardinality(files)", "files"),
    "room_to_name": _room("cardinality(loids)", "loids"),
    "room_to_lock": _room("2 * cardinality(loids)", "loids"),
    "room_to_unlink": _room("cardinality(loids)", "loids"),
}

FUNCTIONS: Final = tuple(fill(function, PARTS).strip() for function in (_EXISTING, _TRUNCATING, _SETTLE))
"""Made in the schema ``"@schema@"``."""
