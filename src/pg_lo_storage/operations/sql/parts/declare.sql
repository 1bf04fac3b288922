    path constant pg_catalog.text := pg_catalog.current_setting('search_path');
    strings constant pg_catalog.text := pg_catalog.current_setting('standard_conforming_strings');
    home constant pg_catalog.name := pg_catalog.current_schema();
    searched constant pg_catalog.oid[] := array(select n.oid from pg_catalog.pg_namespace as n
        where n.nspname operator(pg_catalog.=) any(pg_catalog.current_schemas(false)));
    catalogue constant pg_catalog.regclass := pg_catalog.to_regclass('pg_lo_storage_file');
    item pg_catalog.record;
