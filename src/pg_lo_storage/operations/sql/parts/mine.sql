-- A file that the transaction made, which at REPEATABLE READ nobody else can have come to name unseen. A savepoint has
-- a number of its own. age() counts from an older one than the transaction's where it was asked before there was that.
case when age(m.xmin) <= age(pg_current_xact_id()::xid) then pg_xact_status((
        pg_current_xact_id()::text::int8 + age(pg_current_xact_id()::xid) - age(m.xmin))::text::xid8)
        = 'in progress' end
