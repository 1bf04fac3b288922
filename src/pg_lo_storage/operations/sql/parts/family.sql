-- The table and all its partitions and children: a statement fires the triggers of the table that it names.
        with recursive family (oid) as (
            select target::oid
            union select inhrelid from pg_catalog.pg_inherits join family on inhparent = family.oid
        ) select c.oid::regclass as relation, coalesce(pg_partition_root(c.oid), c.oid)::oid as root
            from family join pg_catalog.pg_class as c on c.oid = family.oid where c.relkind in ('r', 'p')
