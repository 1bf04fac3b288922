do $do$
declare
    /*@declare@*/
    target constant pg_catalog.regclass := pg_catalog.to_regclass("@table@");
begin
    /*@begin@*/
    if target is null then
        raise undefined_table using message = format('table %s does not exist', "@table@");
    end if;
    if not exists (/*@guard_columns@*/) then
        execute format($sql$alter table %s add column %I oid generated always as (
            case when split_part(%I::text collate "C", '.', 1) ~ '^[1-9][0-9]{0,9}$' then
                case when split_part(%3$I::text collate "C", '.', 1)::int8 <= 4294967295 then
                    split_part(%3$I::text collate "C", '.', 1)::int8::oid end end) stored$sql$,
            target, "@name@", "@column@");
    end if;
    /*@end@*/
end
$do$
