-- Whoever may execute a trigger's function may make triggers with it: the columns of other tables count only where they
-- are listed.
create or replace function "@schema@".pg_lo_storage_same(place regnamespace, own regclass)
returns table (relation regclass, attribute name, source text, key text, alike text, is_readable bool, defaults oid[])
language plpgsql stable
set search_path = pg_catalog, pg_temp set standard_conforming_strings = on set row_security = off
as $body$
begin
    return query execute format($sql$select distinct r.oid::regclass, a.attname, quote_ident(a.attname::text)
            || '::text collate "C"', 'array[' || k.sources || ']', k.names, k.are_alike and "@readable@",
            "@default_oids@"::oid[]
    from (
        select coalesce(pg_partition_root(t.tgrelid), t.tgrelid)::oid as root,
            -- What other triggers have is no array, whatever the planner does first.
            case when t.tgnargs = 5 and starts_with(p.proname, 'pg_lo_storage_guard')
                then string_to_array(encode(t.tgargs, 'escape'), E'\\000') end as args
        from pg_trigger as t join pg_proc as p on p.oid = t.tgfoid
        where not t.tgisinternal and t.tgnargs = 5 and p.pronamespace = $1
            and starts_with(p.proname, 'pg_lo_storage_guard')
    ) as t join pg_class as r on r.oid = t.root
    join pg_attribute as a on a.attrelid = r.oid and not a.attisdropped and case when t.args[2] = t.root::text
        then a.attnum = t.args[1]::int2
        else a.attname = convert_from(decode(t.args[3], 'escape'), getdatabaseencoding()) end
    cross join lateral (
        select string_agg(quote_ident(a.attname::text) || '::text collate "C"', ', ' order by n) as sources,
            string_agg(quote_ident(a.attname::text), ', ' order by n) as names,
            bool_and(coalesce("@alike@", false)) as are_alike
        from unnest(t.args[4]::int2[], convert_from(decode(t.args[5], 'escape'), getdatabaseencoding())::text[])
            with ordinality as w (number, name, n)
        left join pg_attribute as a on a.attrelid = r.oid and not a.attisdropped
            and case when t.args[2] = t.root::text then a.attnum = w.number else a.attname = w.name end
    ) as k
    where r.oid = $2 or exists (select from %s.pg_lo_storage_columns() as l
        where l.relid = r.oid and l.attnum = a.attnum or to_regclass(l.relation) = r.oid and l.attribute = a.attname)
    $sql$, place) using place, own;
end
$body$
