-- Checks the rows as they are when the statement has ended. "files" are those that rows come to name, or that they name
-- with other values than before; null means all files that rows name.
create or replace function "@schema@".pg_lo_storage_claim(
    place regnamespace, catalogue regclass, own regclass, own_attribute name, files text[]
) returns void language plpgsql volatile
set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set row_security = off
as $body$
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
            from (select %s as name, %s as key from %s where %s) as named where "@valid@"$sql$,
            source, reference.key, reference.relation, coalesce("@naming@", 'true'));
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
            and ($2 or "@mine@"))$sql$, catalogue) into refused using claimed, is_current;
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
$body$
