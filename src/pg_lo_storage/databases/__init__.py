"""Large objects on Django's databases: alias, connection, driver, and the columns that name files there."""

from pg_lo_storage.databases.aliases import LargeObjectStorage, db_for_read, db_for_write
from pg_lo_storage.databases.driver import DatabaseDriver

__all__ = ["DatabaseDriver", "LargeObjectStorage", "db_for_read", "db_for_write"]
