"""Large objects in the transactions of SQLAlchemy 2: see docs/sqlalchemy.md.

Its connections and sessions are taken by ``pg_lo_storage.save``, ``open`` and the others, and by
:func:`pg_lo_storage.drivers.get_driver`, without an import of this module.
"""

from pg_lo_storage.contrib.sqlalchemy.aio import AsyncSQLAlchemyDriver
from pg_lo_storage.contrib.sqlalchemy.drivers import SQLAlchemyDriver
from pg_lo_storage.contrib.sqlalchemy.files import LargeObjectFile, LargeObjectType
from pg_lo_storage.contrib.sqlalchemy.flushing import listen

__all__ = ["AsyncSQLAlchemyDriver", "LargeObjectFile", "LargeObjectType", "SQLAlchemyDriver"]

listen()
