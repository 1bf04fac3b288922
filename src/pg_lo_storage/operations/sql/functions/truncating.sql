-- VOLATILE: a TRUNCATE's own snapshot is older than its lock on the table.
-- From BEFORE to AFTER the names are kept in a table that nobody but the trigger's role can have made: whoever runs
-- code in between can change the session's settings.
create or replace function "@schema@".pg_lo_storage_truncating(
    relation regclass, attribute name, catalogue regclass, memory name, is_over boolean
) returns text[] language plpgsql volatile
set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set row_security = off
as $body$
declare
    files text[];
    item record;
begin
    if is_over then
        for item in select from pg_class as c join pg_roles as r on r.oid = c.relowner
            where c.oid = to_regclass(format('pg_temp.%I', memory)) and c.relkind = 'r' and r.rolname = current_user
        loop
            execute format('select files from pg_temp.%I', memory) into files;
            execute format('drop table pg_temp.%I', memory);
        end loop;
        return files;
    end if;
    execute format($sql$select array_agg(name) from (
            select distinct %I::text collate "C" as name from %s where %1$I is not null
        ) as named where "@valid@"$sql$, attribute, relation) into files;
    execute 'select array_agg(file) from unnest($1) as file'
        ' join pg_largeobject_metadata as m on m.oid = split_part(file, ''.'', 1)::oid'
        || coalesce(' join ' || catalogue::text || ' as f on f.loid = m.oid'
            ' and coalesce(f.loid::text || f.extension = file, true)', '')
        into files using files;
    if files is null then
        return null;
    end if;
    /*@room@*/
    execute format('create table pg_temp.%I (files text[]) on commit drop', memory);
    -- Default privileges may give it to others.
    for item in select case acl.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(acl.grantee)) end as role
        from pg_class as c cross join aclexplode(c.relacl) as acl
        where c.oid = to_regclass(format('pg_temp.%I', memory)) and acl.grantee <> c.relowner
    loop
        execute format('revoke all on pg_temp.%I from %s', memory, item.role);
    end loop;
    execute format('insert into pg_temp.%I values ($1)', memory) using files;
    return null;
end
$body$
