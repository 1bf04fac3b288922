"""What several tests use."""

from typing import Any, Protocol

from sqlalchemy import Engine, Executable

from pg_lo_storage.drivers import get_driver

LARGE = bytes(range(256)) * 12_000  # 3 MB: more than one statement


class Target(Protocol):
    """What the tests use of connections and sessions."""

    def execute(self, statement: Executable, /) -> Any: ...
    def begin_nested(self) -> Any: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


class AsyncTarget(Protocol):
    """What the tests use of those that are awaited."""

    async def execute(self, statement: Executable, /) -> Any: ...
    def begin_nested(self) -> Any: ...
    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...
    async def close(self) -> None: ...


def is_committed(engine: Engine, oid: int) -> bool:
    """Tell whether another connection sees the object."""
    with engine.connect() as connection:
        return get_driver(connection).exists(oid)
