-- Locks as pg_lo_storage.lifecycle.sharing does; each statement has a snapshot of its own, and so sees what was
-- committed while an earlier one waited. Static SQL reads the catalogs of the database only, and is planned once a
-- session; what reads tables that grow is dynamic, and planned for what there is.
create or replace function "@schema@".pg_lo_storage_settle(
    place regnamespace, catalogue regclass, relation regclass, attribute name,
    named text[], gone text[], replaced text[], replacing text[], is_truncated boolean
) returns void language plpgsql volatile
set plan_cache_mode = force_generic_plan
set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set row_security = off
as $body$
declare
    name_lock constant int4 := 1886154612;
    loids oid[];
    held oid[];
    lost text;
    misplaced record;
    reference record;
    selects text[] := '{}';
    kept oid[];
    tables text[];
    columns text[];
    table_oids oid[];
    numbers int2[];
    unlinking constant text := $sql$select "@unlink@" from pg_largeobject_metadata as m
        where m.oid = any($1) order by m.oid$sql$;
begin
    if named is not null then
        loids := array(select distinct split_part(file, '.', 1)::oid as loid from unnest(named) as file order by loid);
        if catalogue is null then
            /*@room_to_name@*/
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
            join pg_largeobject_metadata as m on m.oid = case when "@valid@" then split_part(name, '.', 1)::oid end$sql$
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
        execute 'select array(select m.oid from pg_largeobject_metadata as m where m.oid = any($1) order by m.oid)'
            into loids using loids;
        held := loids;
        /*@room_to_lock@*/
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
    execute format('select %1$s.pg_lo_storage_kept(), array_agg(relation), array_agg(attribute), array_agg(relid),'
            ' array_agg(attnum) from %1$s.pg_lo_storage_columns()', place)
        into kept, tables, columns, table_oids, numbers;
    -- Also in tables of the same names that were listed for another schema: it may be this one's copy, or share the
    -- catalogue. OFFSET 0 has each column looked up by an index, whatever is expected: a database of many schemas has
    -- as many columns as others have rows.
    for reference in select known.* from (
            select attrelid, attnum, bool_and(is_twin) as is_twin from (
                select a.attrelid, a.attnum, false from unnest(tables, columns) as l (relid, attname)
                    cross join lateral (select a.attrelid, a.attnum from pg_attribute as a
                        where a.attrelid = to_regclass(l.relid)::oid and a.attname = l.attname::name offset 0) as a
                union all select l.relid, l.attnum, false from unnest(table_oids, numbers) as l (relid, attnum)
                union all select a.attrelid, a.attnum, false from pg_attribute as a
                    where a.attrelid = relation and a.attname = attribute
                union all select a.attrelid, a.attnum, true from unnest(tables, columns) as l (relid, attname)
                    cross join lateral parse_ident(l.relid) as part
                    cross join lateral (select c.oid from pg_class as own
                        join pg_class as c on c.relname = part[cardinality(part)]::name and "@twin@"
                        where own.oid = relation offset 0) as c
                    cross join lateral (select a.attrelid, a.attnum from pg_attribute as a
                        where a.attrelid = c.oid and a.attname = l.attname::name offset 0) as a
            ) as found (attrelid, attnum, is_twin) group by attrelid, attnum
        ) as listed cross join lateral (
            select r.oid::regclass as relation, a.attname as name,
                "@readable@" and (not is_twin or "@open@") as is_readable, "@default_oids@" as defaults,
                case when "@collates_loosely@" then ' collate "C"' else '' end as collation, "@finding@" as finding
            from pg_attribute as a join pg_class as r on r.oid = a.attrelid join pg_class as c on c.oid = r.oid
            -- The function of a copy's triggers may have listed the original's tables, which have a catalogue of their
            -- own.
            where a.attrelid = listed.attrelid and a.attnum = listed.attnum and not a.attisdropped
            and not exists (select from pg_class as own
                join pg_class as mine on mine.relnamespace = own.relnamespace and mine.relname = r.relname
                join pg_class as k on k.relnamespace = r.relnamespace and k.relname = 'pg_lo_storage_file'
                    and k.relkind in ('r', 'p') and k.oid <> catalogue
                where own.oid = relation and own.relnamespace <> r.relnamespace)
            offset 0
        ) as known
    loop
        if not reference.is_readable then
            raise warning 'kept large objects % of table %: to read column % of % is not safe, since it is no plain'
                ' table''s column of text or numbers', loids, relation, reference.name, reference.relation;
            return;
        end if;
        kept := kept || reference.defaults::oid[];
        selects := selects || format(case reference.finding
                when 'index' then $find$"@find_index@"$find$
                when 'oid' then $find$"@find_oid@"$find$
                when 'int8' then $find$"@find_int8@"$find$
                else $find$"@find_pass@"$find$
            end, reference.relation, reference.name, reference.collation);
    end loop;
    loids := array(select loid from unnest(loids) as loid where loid <> all(kept)
        and loid::text <> all(string_to_array(coalesce(current_setting('pg_lo_storage.expected', true), ''), ' ')));
    if loids = '{}' then
        return;
    end if;
    execute format('select array(select name::oid from (select unnest($1) as name except (%s)) as unnamed)',
        array_to_string(selects, ' union all ')) into loids using loids::text[];
    /*@room_to_unlink@*/
    if catalogue is not null then
        execute format('delete from %s where loid = any($1)', catalogue) using loids;
        held := null;
        for reference in select c.oid::regclass as relation, "@open@" as is_readable
            from pg_class as c join pg_class as own on own.oid = catalogue where "@other@"
        loop
            if held is null then
                -- Who ends the same object in another schema waits, and then sees this entry gone.
                held := loids;
                perform pg_advisory_xact_lock(name_lock, (loid::int8 - 2147483648)::int4)
                    from (select loid from unnest(loids) as loid order by loid offset 0) as given;
            end if;
            if not reference.is_readable then
                loids := '{}';
                exit;
            end if;
            execute format('select array(select loid from unnest($1) as loid'
                ' where not exists (select from %s as f where f.loid = loid.loid))', reference.relation)
                into loids using loids;
        end loop;
    end if;
    if catalogue is not null then
        execute unlinking using loids;
        return;
    end if;
    -- With a catalogue, a session that writes to an object has locked its entry. Without one it may commit just before.
    begin
        execute unlinking using loids;
    exception when internal_error then
        if sqlerrm not like 'tuple concurrently%' then
            raise;
        end if;
        raise serialization_failure using
            message = format('another session wrote to a file that column %I of table %s named', attribute, relation),
            hint = 'Nothing is lost. Run the transaction again.';
    end;
end
$body$
