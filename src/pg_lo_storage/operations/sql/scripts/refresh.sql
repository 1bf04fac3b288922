-- Writes the present names into the triggers: those in a dump find their columns by name, and restored ones follow
-- renames.
do $do$
declare
    /*@declare@*/
begin
    /*@begin@*/
    for item in select pg_get_triggerdef(t.oid) as definition, array[a.attnum::text, root.oid::text, a.attname::text]
            || case when t.tgnargs > 3 then array[alike.numbers::text, alike.names::text] else '{}' end as args
        from pg_trigger as t join pg_proc as p on p.oid = t.tgfoid
        cross join lateral (select coalesce(pg_partition_root(t.tgrelid), t.tgrelid)::oid) as root (oid)
        cross join lateral (select case when starts_with(p.proname, 'pg_lo_storage_guard') then array(
            select convert_from(decode(arg, 'escape'), getdatabaseencoding())
            from string_to_table(encode(t.tgargs, 'escape'), E'\\000') with ordinality as args (arg, n)
            where n <= t.tgnargs order by n) end) as args (of)
        join pg_attribute as a on a.attrelid = root.oid and not a.attisdropped and
            case when of[2] = root.oid::text then a.attnum = of[1]::int2 else a.attname = of[3] end
        cross join lateral (
            select array_agg(a.attnum order by n) as numbers, array_agg(a.attname::text order by n) as names
            from unnest(of[4]::int2[], of[5]::text[]) with ordinality as wanted (number, name, n)
            left join pg_attribute as a on a.attrelid = root.oid and not a.attisdropped and
                case when of[2] = root.oid::text then a.attnum = wanted.number else a.attname = wanted.name end
        ) as alike
        where starts_with(p.proname, 'pg_lo_storage_guard') and p.pronamespace = any(searched) and not t.tgisinternal
        and array_position(alike.numbers, null) is null and of <> array[a.attnum::text, root.oid::text, a.attname::text]
            || case when t.tgnargs > 3 then array[alike.numbers::text, alike.names::text] else '{}' end
    loop
        execute regexp_replace('CREATE OR REPLACE' || substr(item.definition, length('CREATE') + 1),
            E'\\(''[0-9]+'', ''[0-9]+'', .*\\)$', replace((
                select format('(%s)', string_agg(quote_literal(arg), ', ' order by n))
                from unnest(item.args) with ordinality as args (arg, n)), E'\\', E'\\\\'));
    end loop;
    /*@end@*/
end
$do$
