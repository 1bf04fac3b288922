do $do$
declare
    /*@declare@*/
begin
    /*@begin@*/
    if catalogue is null then
        raise undefined_table using message = 'there is no catalogue of stored files to count',
            hint = 'Add "pg_lo_storage" to INSTALLED_APPS, and ("pg_lo_storage", "0001_initial") to the migration''s'
                ' dependencies.';
    end if;
    -- A view keeps what the names meant when it was made.
    execute format($sql$create or replace view %1$s.pg_lo_storage_stats as /*@statistics@*/$sql$,
        (select c.relnamespace::regnamespace from pg_class as c where c.oid = catalogue), catalogue);
    /*@end@*/
end
$do$
