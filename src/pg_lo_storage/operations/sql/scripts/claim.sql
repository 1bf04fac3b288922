do $do$
declare
    /*@declare@*/
    target constant pg_catalog.regclass := pg_catalog.to_regclass("@table@");
begin
    /*@begin@*/
    for item in select pronamespace::regnamespace as place from pg_proc
        where proname = 'pg_lo_storage_claim' and pronamespace = "@place@"
    loop
        execute format('select %s.pg_lo_storage_claim($1, $2, $3, $4, null)', item.place)
            using item.place, catalogue, coalesce(pg_partition_root(target), target), "@column@"::name;
    end loop;
    /*@end@*/
end
$do$
