-- Whatever the session's search path holds: names are looked up in it before, and by names of pg_catalog alone.
    perform pg_catalog.set_config('standard_conforming_strings', 'on', true);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
