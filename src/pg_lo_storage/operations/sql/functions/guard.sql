-- The trigger function itself, which calls the others.
create or replace function "@schema@"."@guard@"() returns trigger
language plpgsql stable security invoker
set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set row_security = off
as $body$
declare
    relation constant regclass := coalesce(pg_partition_root(tg_relid), tg_relid);
    is_original constant boolean := relation::oid = tg_argv[1]::oid;
    is_readable boolean;
    place regnamespace;
    catalogue regclass;
    attribute name;
    namesake name;
    key text;
    given text[];
    claimed text[];
    named text[];
    gone text[];
    replaced text[];
    replacing text[];
begin
    select max(attname::text) filter (where attnum = tg_argv[0]::int2),
        max(attname::text) filter (where attname = tg_argv[2]), bool_and("@readable@")
        into attribute, namesake, is_readable
        from pg_attribute as a join pg_class as r on r.oid = a.attrelid
        where attrelid = relation and not attisdropped and (attnum = tg_argv[0]::int2 or attname = tg_argv[2]);
    if not is_original then
        attribute := namesake;
    elsif attribute is null and namesake is null then
        return null; -- the column was dropped
    end if;
    if attribute is null or namesake <> attribute then
        raise undefined_column using
            message = format('column %I of table %s is not the one any more whose large objects trigger %I manages',
                tg_argv[2], relation, tg_name),
            hint = 'Apply pg_lo_storage.operations.ManageLargeObjects to the column again, in a migration.';
    end if;
    if not is_readable then
        if tg_nargs > 3 and tg_op in ('INSERT', 'UPDATE') then
            raise datatype_mismatch using
                message = format('column %I of table %s has same=(...), and is of no type of text',
                    attribute, relation);
        end if;
        raise warning 'large objects of column % of table % were kept: it is of no type of text', attribute, relation;
        return null;
    end if;
    if tg_op = 'UPDATE' then
        -- Both tables have the rows in the order of their updates.
        execute format($sql$with changed as materialized (
                select old.name as old, new.name as new
                from (select row_number() over () as n, %1$I::text collate "C" as name from pg_lo_old) as old
                full join (select row_number() over () as n, %1$I::text collate "C" as name from pg_lo_new) as new
                using (n) where old.name is distinct from new.name
            )
            select left_names, new_names, olds, news from (
                select array_agg(name) filter (where not is_new) as left_names,
                    array_agg(name) filter (where is_new) as new_names
                from (select name, bool_or(is_new) as is_new from (
                        select new, true from changed union all select old, false from changed
                    ) as names (name, is_new) where name <> '' group by name having bool_and(is_new) = bool_or(is_new)
                ) as given where "@valid@"
            ) as sets, (
                select array_agg(name) as olds, array_agg(new) as news
                from (select old as name, new from changed where new <> '') as pairs where "@valid@"
            ) as pairs$sql$, attribute) into gone, named, replaced, replacing;
    elsif tg_op <> 'TRUNCATE' then
        execute format($sql$select array_agg(name) from (select distinct %I::text collate "C" as name from %s) as names
            where "@valid@"$sql$, attribute, case tg_op when 'INSERT' then 'pg_lo_new' else 'pg_lo_old' end) into given;
        named := case tg_op when 'INSERT' then given end;
        gone := case tg_op when 'DELETE' then given end;
    end if;
    if named is null and gone is null and replaced is null and tg_op <> 'TRUNCATE'
        and (tg_nargs = 3 or tg_op = 'DELETE') then
        return null;
    end if;
    -- The triggers of a schema's copy may still be functions of the original; the copy's own catalogue counts.
    select p.pronamespace, coalesce(own.oid, c.oid) into place, catalogue
        from pg_trigger as t join pg_proc as p on p.oid = t.tgfoid join pg_class as r on r.oid = tg_relid
        left join pg_class as c on c.relnamespace = p.pronamespace and c.relname = 'pg_lo_storage_file'
            and c.relkind in ('r', 'p')
        left join pg_class as own on own.relnamespace = r.relnamespace and own.relname = c.relname
            and own.relkind in ('r', 'p') and own.relowner = c.relowner
        where t.tgrelid = tg_relid and t.tgname = tg_name;
    if not found then
        raise serialization_failure using
            message = format('trigger %I of table %s was made after this transaction began',
                tg_name, tg_relid::regclass);
    end if;
    if named is not null and current_setting('pg_lo_storage.expected', true) <> '' then
        perform set_config('pg_lo_storage.expected', array_to_string(array(
            select loid from string_to_table(current_setting('pg_lo_storage.expected'), ' ') as loid
            where loid <> all(array(select split_part(name, '.', 1) from unnest(named) as name))), ' '), true);
    end if;
    begin
        if tg_op = 'TRUNCATE' then
            execute format('select %s.pg_lo_storage_truncating($1, $2, $3, $4, $5)', place)
                into gone using tg_relid::regclass, attribute, catalogue,
                format('pg_lo_storage_truncated_%s_%s', tg_relid, tg_argv[0])::name, tg_when = 'AFTER';
        end if;
        if tg_nargs > 3 and tg_op in ('INSERT', 'UPDATE') then
            claimed := '{}';
            execute format('select key from %s.pg_lo_storage_same($1, $2)'
                ' where relation = $2 and attribute = $3 and is_readable', place)
                into key using place, relation, attribute;
            if key is not null then
                execute format($sql$select array_agg(distinct name) from (
                        select %1$I::text collate "C" as name, %2$s from pg_lo_new$sql$ || case when tg_op = 'UPDATE'
                        then ' except select %1$I::text collate "C", %2$s from pg_lo_old' else '' end
                        || $sql$) as changed where "@valid@"$sql$, attribute, key) into claimed;
            end if;
            if claimed is not null then
                execute format('select %s.pg_lo_storage_claim($1, $2, $3, $4, $5)', place)
                    using place, catalogue, relation, attribute, claimed;
            end if;
        end if;
        if named is not null then
            execute format('select %s.pg_lo_storage_existing($1, $2)', place) into named using named, catalogue;
        end if;
        if named is not null or gone is not null or replaced is not null then
            execute format('select %s.pg_lo_storage_settle($1, $2, $3, $4, $5, $6, $7, $8, $9)', place)
                using place, catalogue, relation, attribute, named, gone, replaced, replacing, tg_op = 'TRUNCATE';
        end if;
    exception when insufficient_privilege then
        raise insufficient_privilege using
            message = sqlerrm,
            detail = format('Large objects follow the names in column %I of table %s.', attribute, relation),
            hint = format('Role %I needs to own the large objects, and to see all rows of every table that names files,'
                ' past any row-level security%s. Or make the triggers with owner="such a role".',
                current_user, ', and to select, update and delete in ' || catalogue::text)
                || ' It may need EXECUTE on the functions pg_lo_storage_*, and TEMPORARY on the database for TRUNCATE.';
    when out_of_memory then
        -- The lock table is full: earlier statements of the transaction have unlinked, too.
        raise out_of_memory using
            message = sqlerrm,
            hint = 'Change, delete or copy rows in batches of 1,000, each in a transaction of its own, as'
                ' pg_lo_storage.lifecycle.delete_in_batches does, or raise max_locks_per_transaction.';
    end;
    return null;
end
$body$
