-- STABLE: sees what the calling statement sees. A STABLE AFTER trigger of a statement sees the files that existed when
-- the statement began.
create or replace function "@schema@".pg_lo_storage_existing(files text[], catalogue regclass) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set row_security = off
as $body$
declare
    found_files text[];
begin
    execute 'select array_agg(file) from unnest($1) as file'
        ' join pg_largeobject_metadata as m on m.oid = split_part(file, ''.'', 1)::oid'
        ' and m.xmin is distinct from pg_current_xact_id_if_assigned()::xid'
        || coalesce(' join ' || catalogue::text || ' as f on f.loid = m.oid'
            ' and coalesce(f.loid::text || f.extension = file, true)', '')
        into found_files using files;
    return found_files;
end
$body$
