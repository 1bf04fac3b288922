    select distinct a.attname as name from pg_catalog.pg_depend as d
        left join pg_catalog.pg_attrdef as value
            on d.classid = 'pg_attrdef'::regclass and value.oid = d.objid
        join pg_attribute as a on a.attrelid = d.refobjid and a.attnum = coalesce(value.adnum, d.objsubid)
        where d.refclassid = 'pg_class'::regclass and d.refobjid = target
        and d.refobjsubid = (select attnum from pg_attribute
            where attrelid = target and attname = "@column@" and not attisdropped)
        and (d.classid = 'pg_attrdef'::regclass
            or d.classid = 'pg_class'::regclass and d.objid = d.refobjid)
        and a.attgenerated = 's' and a.atttypid = 'oid'::regtype and starts_with(a.attname, 'pg_lo_storage_')
