do $do$
declare
    /*@declare@*/
    target constant pg_catalog.regclass := pg_catalog.to_regclass("@table@");
begin
    /*@begin@*/
    for item in /*@guard_columns@*/ loop
        execute format('alter table %s drop column %I', target, item.name);
    end loop;
    /*@end@*/
end
$do$
