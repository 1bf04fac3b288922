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
        execute format($sql$alter table %s add column %I oid generated always as ("@oid@") stored$sql$,
            target, "@name@", "@column@");
    end if;
    /*@end@*/
end
$do$
