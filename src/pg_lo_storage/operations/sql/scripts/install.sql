do $do$
declare
    /*@declare@*/
    target constant pg_catalog.regclass := pg_catalog.to_regclass("@table@");
    place pg_catalog.regnamespace;
    places pg_catalog.oid[];
    owner constant pg_catalog.text := "@owner@";
    same constant pg_catalog.text[] := "@same@";
    alike pg_catalog.int2[];
    definition pg_catalog.text;
    member pg_catalog.record;
    number pg_catalog.int2;
begin
    /*@begin@*/
    if target is null then
        raise undefined_table using message = format('table %s does not exist', "@table@");
    end if;
    if (owner is not null or same is not null) and catalogue is null then
        raise object_not_in_prerequisite_state using
            message = format('triggers with %s need the catalogue of stored files',
                coalesce(format('owner=%L', owner), 'same=(...)')),
            hint = 'Without it every large object of their role is a file to whoever may write its number into a row.'
                ' Add "pg_lo_storage" to INSTALLED_APPS, and ("pg_lo_storage", "0001_initial") to the migration''s'
                ' dependencies.';
    end if;
    place := "@place@";
    places := array[place];
    -- To replace a function leaves it to its owner, who may replace it again.
    for item in select p.oid::regprocedure as name, pg_get_userbyid(p.proowner) as owner from pg_proc as p
        where p.pronamespace = place and (p.proname = any("@helpers@") or p.proname = "@guard@")
        and pg_get_userbyid(p.proowner) <> case p.proname when "@guard@" then coalesce(owner, current_user)
            else current_user end and (p.proname <> "@guard@" or pg_get_userbyid(p.proowner) <> current_user)
    loop
        raise insufficient_privilege using
            message = format('function %s belongs to role %I, which could change what triggers do',
                item.name, item.owner),
            hint = format('Migrate as that role, or drop the function, or ALTER FUNCTION %s OWNER TO %I.',
                item.name, current_user);
    end loop;
    foreach definition in array "@definitions@" loop
        execute replace(definition, '"@schema@"', place::text);
    end loop;
    if owner is not null then
        execute format('alter function %s.%I() owner to %I', place, "@guard@", owner);
    end if;
    for item in select p.oid::regprocedure as name, p.proname = "@guard@" as is_guard from pg_proc as p
        where p.pronamespace = place and (p.proname = any("@helpers@") or p.proname = "@guard@")
    loop
        execute format('revoke all on function %s from public', item.name);
        if owner is not null and not item.is_guard then
            execute format('grant execute on function %s to %I', item.name, owner);
        end if;
    end loop;
    for member in /*@family@*/ loop
        number := "@number@";
        if number is null then
            raise undefined_column using message = format('table %s has no column %I', "@table@", "@column@");
        end if;
        alike := array(select (select a.attnum from pg_attribute as a join pg_class as r on r.oid = a.attrelid
                where a.attrelid = member.root and a.attname = wanted.name and not a.attisdropped and "@alike@")
            from unnest(same) with ordinality as wanted (name, n) order by n);
        if array_position(alike, null) is not null then
            raise undefined_column using
                message = format('table %s has no column %I of text, integers, uuid or boolean, for same=(...)',
                    member.relation, same[array_position(alike, null)]);
        end if;
        for item in select * from unnest("@names@", "@events@") as wanted (name, event) loop
            execute format('create or replace trigger %I ' || item.event
                || ' for each statement execute function %s.%I(%L, %L, %L'
                || case when same is null then ')' else ', %L, %L)' end,
                item.name, member.relation, place, "@guard@", number, member.root, "@column@", alike, same);
        end loop;
        for item in select t.tgname as name, p.pronamespace as place
            from pg_catalog.pg_trigger as t
            join pg_catalog.pg_proc as p on p.oid = t.tgfoid
            where t.tgrelid = member.relation and starts_with(p.proname, 'pg_lo_storage_guard')
            and ("@is_ours@" or "@is_lost@")
        loop
            if item.name <> all("@names@") then
                execute format('drop trigger %I on %s', item.name, member.relation);
                places := places || item.place;
            end if;
        end loop;
    end loop;
    /*@drop_unused@*/
    /*@end@*/
end
$do$
