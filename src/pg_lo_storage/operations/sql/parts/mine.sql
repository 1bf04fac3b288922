-- A file that the transaction made: at REPEATABLE READ no other row can have come to name it unseen. A savepoint has a
-- number of its own. age() counts from a number before the transaction's, where it was called before there was one.
case when age(m.xmin) <= age(pg_current_xact_id()::xid) then pg_xact_status((
        pg_current_xact_id()::text::int8 + age(pg_current_xact_id()::xid) - age(m.xmin))::text::xid8)
        = 'in progress' end
