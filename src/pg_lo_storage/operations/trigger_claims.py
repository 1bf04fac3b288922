"""The functions in the database by which all rows that name a file have the same values in certain columns: ``same=``.

A trigger has these columns among its arguments, as an array of their numbers and one of their names, by which they are
known as the column of the names is.
"""

from typing import Final

from pg_lo_storage.databases.search import readable
from pg_lo_storage.operations.trigger_functions import PARTS, PREFIX, fill

__all__ = ["ALIKE", "CLAIMS"]

ALIKE: Final = readable("text", "varchar", "bpchar", "name", "oid", "int2", "int4", "int8", "uuid", "bool")
"""SQL that tells whether values of column ``a`` of relation ``r`` can be compared, as text that nobody's code makes."""

# Who may execute a trigger's function may make triggers of it: others' columns count where they are listed.
_SAME: Final = r"""
create or replace function "@schema@".pg_lo_storage_same(place regnamespace, own regclass)
returns table (relation regclass, attribute name, source text, key text, alike text, is_readable bool, defaults oid[])
language plpgsql stable @options@ as $body$
begin
    return query execute format($sql$select distinct r.oid::regclass, a.attname, quote_ident(a.attname::text)
            || '::text collate "C"', 'array[' || k.sources || ']', k.names, k.are_alike and @readable@,
            @literal_oids@::oid[]
    from (
        select coalesce(pg_partition_root(t.tgrelid), t.tgrelid)::oid as root,
            -- What other triggers have is no array, whatever the planner does first.
            case when t.tgnargs = 5 and starts_with(p.proname, '@prefix@')
                then string_to_array(encode(t.tgargs, 'escape'), E'\\000') end as args
        from pg_trigger as t join pg_proc as p on p.oid = t.tgfoid
        where not t.tgisinternal and t.tgnargs = 5 and p.pronamespace = $1 and starts_with(p.proname, '@prefix@')
    ) as t join pg_class as r on r.oid = t.root
    join pg_attribute as a on a.attrelid = r.oid and not a.attisdropped and case when t.args[2] = t.root::text
        then a.attnum = t.args[1]::int2
        else a.attname = convert_from(decode(t.args[3], 'escape'), getdatabaseencoding()) end
    cross join lateral (
        select string_agg(quote_ident(a.attname::text) || '::text collate "C"', ', ' order by n) as sources,
            string_agg(quote_ident(a.attname::text), ', ' order by n) as names,
            bool_and(coalesce(@alike@, false)) as are_alike
        from unnest(t.args[4]::int2[], convert_from(decode(t.args[5], 'escape'), getdatabaseencoding())::text[])
            with ordinality as w (number, name, n)
        left join pg_attribute as a on a.attrelid = r.oid and not a.attisdropped
            and case when t.args[2] = t.root::text then a.attnum = w.number else a.attname = w.name end
    ) as k
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where r.oid = $2 or exists (select from %s.pg_lo_storage_columns() as l
        where l.relid = r.oid and l.attnum = a.attnum or to_regclass(l.relation) = r.oid and l.attribute = a.attname)
    $sql$, place) using place, own;
end
$body$"""

# A file that the transaction made, which at REPEATABLE READ nobody else can have come to name unseen. A savepoint has a
# number of its own. age() counts from an older one than the transaction's where it was asked before there was that.
_MINE: Final = """case when age(m.xmin) <= age(pg_current_xact_id()::xid) then pg_xact_status((
        pg_current_xact_id()::text::int8 + age(pg_current_xact_id()::xid) - age(m.xmin))::text::xid8)
        = 'in progress' end"""

# Rows are looked at as they are when the statement has ended: which files they come to name, or name with other values
# than before, is known. Without files: all that rows name.
_CLAIM: Final = """
create or replace function "@schema@".pg_lo_storage_claim(
    place regnamespace, catalogue regclass, own regclass, own_attribute name, files text[]
) returns void language plpgsql volatile @options@ as $body$
declare
    is_current constant bool := current_setting('transaction_isolation') in ('read committed', 'read uncommitted');
    claimed text[];
    loids oid[];
    common oid[];
    own_alike text;
    refused text;
    reference record;
    source text;
    selects text[] := '{}';
begin
    if catalogue is null then
        raise object_not_in_prerequisite_state using
            message = format('column %I of table %s has same=(...), which needs the catalogue of stored files',
                own_attribute, own);
    end if;
    loids := array(select distinct split_part(file, '.', 1)::oid from unnest(files) as file);
    execute format('select %s.pg_lo_storage_kept()', place) into common;
    for reference in execute format('select * from %s.pg_lo_storage_same($1, $2)', place) using place, own loop
        if not reference.is_readable then
            raise undefined_column using
                message = format('rows of table %s that name a file in column %I cannot be told apart',
                    reference.relation, reference.attribute),
                detail = 'A column of same=(...) was dropped, or one of them is not of a type that it can be any more.',
                hint = 'Apply pg_lo_storage.operations.ManageLargeObjects to the column again, in a migration.';
        end if;
        source := reference.source;
        common := common || reference.defaults;
        selects := selects || format($sql$select split_part(name, '.', 1), key
            from (select %s as name, %s as key from %s where %s) as named where @valid@$sql$,
            source, reference.key, reference.relation, coalesce(@naming@, 'true'));
        if reference.relation = own and reference.attribute = own_attribute then
            own_alike := reference.alike;
        end if;
    end loop;
    -- What is a field's default is everybody's. Who only holds a file does not wait for who claims it.
    claimed := array(select file from unnest(files) as file where split_part(file, '.', 1)::oid <> all(common));
    execute format('select from %s where loid = any($1) and loid <> all($2) order by loid for no key update', catalogue)
        using loids, common;
    execute format($sql$select min(file) from unnest($1) as file where not exists (
            select from %s as f join pg_largeobject_metadata as m on m.oid = f.loid
            where f.loid = split_part(file, '.', 1)::oid and coalesce(f.loid::text || f.extension = file, true)
            and ($2 or @mine@))$sql$, catalogue) into refused using claimed, is_current;
    if refused is null then
        -- A statement of its own sees what was committed while the one before waited.
        execute format('select coalesce((select min(file) from unnest($3) as file where split_part(file, ''.'', 1)'
                ' = loid), loid) from (%s) as named (loid, key) where loid <> all($2)'
                ' group by loid having count(distinct key) > 1 limit 1', array_to_string(selects, ' union all '))
            into refused using loids::text[], common::text[], files;
    end if;
    if refused is not null then
        raise foreign_key_violation using
            message = format('column %I of table %s cannot name %L: it is no file%s, or one that a row with another %s'
                ' names', own_attribute, own, refused, case when not is_current and files is not null
                then ' that this transaction made' else '' end, own_alike),
            hint = 'Rows that name the same file have the same there. Save its content as a file of its own, or change'
                ' all of its rows in one statement.';
    end if;
end
$body$"""

_PARTS: Final = {**PARTS, "prefix": PREFIX, "alike": ALIKE, "mine": _MINE}

CLAIMS: Final = tuple(fill(function, _PARTS).strip() for function in (_SAME, _CLAIM))
"""Made in the schema ``"@schema@"``, beside :data:`.trigger_functions.FUNCTIONS`."""
