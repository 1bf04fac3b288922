"""Large objects without a server: :class:`InMemoryDriver` over an :class:`InMemoryConnection`."""

from pg_lo_storage.testing.memory.connection import InMemoryConnection
from pg_lo_storage.testing.memory.driver import InMemoryDriver
from pg_lo_storage.testing.memory.server import InMemoryError, InMemoryServer

__all__ = ["InMemoryConnection", "InMemoryDriver", "InMemoryError", "InMemoryServer"]
