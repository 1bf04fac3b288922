    coalesce((select relnamespace from pg_class where oid = catalogue),
        (select oid from pg_namespace where nspname = home))
