    for item in select p.oid::regprocedure as name from pg_proc as p
        where starts_with(p.proname, 'pg_lo_storage_guard')
        and p.prorettype = 'trigger'::regtype and p.pronamespace = any(places)
        and not exists (select from pg_trigger where tgfoid = p.oid)
    loop
        execute format('drop function %s', item.name);
    end loop;
    for item in select p.oid::regprocedure as name from pg_proc as p
        where p.proname = any("@helpers@") and p.pronamespace = any(places)
        and not exists (select from pg_proc as guard where starts_with(guard.proname, 'pg_lo_storage_guard')
            and guard.prorettype = 'trigger'::regtype and guard.pronamespace = p.pronamespace)
    loop
        execute format('drop function %s', item.name);
    end loop;
