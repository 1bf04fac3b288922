do $do$
declare
    /*@declare@*/
begin
    /*@begin@*/
    if catalogue is not null then
        execute format('drop view if exists %s.pg_lo_storage_stats',
            (select c.relnamespace::regnamespace from pg_class as c where c.oid = catalogue));
    end if;
    /*@end@*/
end
$do$
