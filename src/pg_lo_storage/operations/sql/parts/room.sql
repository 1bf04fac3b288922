-- A transaction takes one lock for each object that it unlinks, and one more for each that has no catalogue row.
    if "@count@" > current_setting('max_locks_per_transaction')::int8
        * (current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8) then
        raise configuration_limit_exceeded using
            message = format('%s large objects of table %s are more than the lock table holds',
                cardinality("@files@"), relation),
            hint = 'Change, delete or copy rows in batches of 1,000, each in a transaction of its own, as'
                ' pg_lo_storage.lifecycle.delete_in_batches does, or raise max_locks_per_transaction. TRUNCATE leaves large objects alone with'
                ' ManageLargeObjects(..., truncate="keep").';
    end if;
