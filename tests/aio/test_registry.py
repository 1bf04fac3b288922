"""Which asynchronous driver serves a connection, where drivers wrap each other."""

from typing import Any

import pytest

from pg_lo_storage.aio import get_async_driver, register_async_driver, registry


class AsyncConnection:
    """A connection of a driver that nobody has heard of."""


class PoolConnection(AsyncConnection):
    """The same, of a connection pool."""


class Driver:
    """Serves one connection."""

    def __init__(self, connection: object) -> None:
        self.connection = connection


class Wrapper(Driver):
    """Wraps the driver that its connection would have without it."""

    def __init__(self, connection: object) -> None:
        super().__init__(connection)
        self.wrapped: object = get_async_driver(connection)


@pytest.mark.parametrize("registered", [True, False])
def test_a_wrapper_that_is_registered_for_what_it_wraps_gets_the_next_driver(
    monkeypatch: pytest.MonkeyPatch, registered: bool
) -> None:
    name = f"{__name__}.AsyncConnection"
    monkeypatch.setattr(registry, "_BUILT_IN", {name: Driver} if not registered else dict[str, Any]())
    monkeypatch.setattr(registry, "_registered", {name: Driver} if registered else dict[str, Any]())
    wrapper: Any = Wrapper
    register_async_driver(PoolConnection if registered else AsyncConnection, wrapper)
    for _ in range(2):
        driver: Any = get_async_driver(PoolConnection())
        assert type(driver) is Wrapper
        assert type(driver.wrapped) is Driver
