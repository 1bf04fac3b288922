-- A table that is not there yet will be where Django makes it.
do $do$
declare
    /*@declare@*/
    found constant pg_catalog.oid[] := array(select pg_catalog.to_regclass(wanted.name)::pg_catalog.oid
        from pg_catalog.unnest("@tables@") with ordinality as wanted (name, n) order by wanted.n);
    bodies pg_catalog.text[];
    grantee pg_catalog.text;
begin
    /*@begin@*/
    select array[format('select * from unnest(%L::text[], %L::text[], %L::oid[], %L::int2[])', array_agg(relation),
            array_agg(attribute), array_agg(relid), array_agg(attnum)), format('select %L::oid[]',
            array(select split_part(name, '.', 1)::oid from unnest("@kept@") as name))] into strict bodies
    from (
        select case when c.oid is not null then format('%I.%I', n.nspname, c.relname)
            when cardinality(parse_ident(wanted.name)) > 1 then wanted.name
            else format('%I.%s', home, wanted.name) end as relation,
            attribute, c.oid as relid, a.attnum
        from unnest("@tables@", "@columns@", found) as wanted (name, attribute, relid)
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
    /*@end@*/
end
$do$
