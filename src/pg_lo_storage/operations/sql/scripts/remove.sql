do $do$
declare
    /*@declare@*/
    target constant pg_catalog.regclass := pg_catalog.to_regclass("@table@");
    places pg_catalog.oid[];
    member pg_catalog.record;
    number pg_catalog.int2;
begin
    /*@begin@*/
    places := array["@place@"];
    for member in /*@family@*/ loop
        number := "@number@";
        for item in select t.tgname as name, p.pronamespace as place
            from pg_catalog.pg_trigger as t
            join pg_catalog.pg_proc as p on p.oid = t.tgfoid
            where t.tgrelid = member.relation and starts_with(p.proname, 'pg_lo_storage_guard')
            and ("@is_ours@")
        loop
            execute format('drop trigger %I on %s', item.name, member.relation);
            places := places || item.place;
        end loop;
    end loop;
    /*@drop_unused@*/
    /*@end@*/
end
$do$
