-- The declarations have looked names up in the session's search path, by functions of pg_catalog alone. From here on
-- the search path is pg_catalog.
    perform pg_catalog.set_config('standard_conforming_strings', 'on', true);
    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
