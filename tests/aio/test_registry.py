"""Which asynchronous driver serves a connection, where drivers wrap each other."""

import importlib.metadata
import sys
import types
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, cast

import pytest
from typing_extensions import override

import pg_lo_storage
from pg_lo_storage.aio import (
    AsyncDriverWrapper,
    AsyncLargeObjectDriver,
    AsyncSQLDriver,
    get_async_driver,
    register_async_driver,
    registry,
)
from pg_lo_storage.drivers import DriverWrapper
from pg_lo_storage.drivers import registry as drivers_registry
from pg_lo_storage.exceptions import DriverNotFound


class AsyncConnection:
    """A connection of a driver that nobody has heard of."""


class PoolConnection(AsyncConnection):
    """The same, of a connection pool."""


class Driver(AsyncSQLDriver):
    """Serves one connection."""

    def __init__(self, connection: object) -> None:
        self.connection = connection

    @override
    async def execute(self, query: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        raise AssertionError(query)

    @override
    def sqlstate(self, error: Exception) -> str | None:
        raise AssertionError

    @property
    @override
    def in_transaction(self) -> bool:
        raise AssertionError

    @property
    @override
    def autocommit(self) -> bool:
        raise AssertionError


class OtherDriver(Driver): ...


class Wrapper(AsyncDriverWrapper):
    """Wraps the driver that its connection would have without it."""


HERE = Driver.__module__


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the registry as it was: other tests have their own idea of it."""
    monkeypatch.setattr(registry, "_registered", dict[str, Any]())
    registry.factory_for_async.cache_clear()
    yield
    registry.factory_for_async.cache_clear()


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a class in the package around the module that defines it."""
    module = types.ModuleType("public_connections")
    vars(module)["AsyncConnection"] = AsyncConnection
    monkeypatch.setitem(sys.modules, "public_connections", module)
    return "public_connections.AsyncConnection"


def install_entry_points(monkeypatch: pytest.MonkeyPatch, **groups: dict[str, str]) -> None:
    """Have packages offer these drivers, by group."""

    def entry_points(*, group: str) -> importlib.metadata.EntryPoints:
        points = groups.get(group.removeprefix("pg_lo_storage."), {})
        return importlib.metadata.EntryPoints(
            importlib.metadata.EntryPoint(name, value, group) for name, value in points.items()
        )

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def test_a_registration_replaces_the_earlier_and_returns_it(public: str) -> None:
    assert register_async_driver(AsyncConnection, Driver) is None
    assert type(get_async_driver(PoolConnection())) is Driver
    assert register_async_driver(public, OtherDriver) is Driver
    assert type(get_async_driver(PoolConnection())) is OtherDriver


def test_asynchronous_drivers_have_entry_points_of_their_own(monkeypatch: pytest.MonkeyPatch, public: str) -> None:
    install_entry_points(monkeypatch, async_drivers={public: f"{HERE}:Driver [extra]"})
    assert type(get_async_driver(PoolConnection())) is Driver
    register_async_driver(AsyncConnection, OtherDriver)
    assert type(get_async_driver(PoolConnection())) is OtherDriver


def test_one_in_the_group_of_the_others_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    drivers_registry.factory_for.cache_clear()
    install_entry_points(monkeypatch, drivers={f"{HERE}.AsyncConnection": f"{HERE}:Driver"})
    with pytest.raises(DriverNotFound, match=r"Driver.*not awaited.*pg_lo_storage\.async_drivers"):
        get_async_driver(AsyncConnection())
    with pytest.raises(DriverNotFound, match="asynchronous"):
        pg_lo_storage.load(cast("Any", AsyncConnection()), 1)
    drivers_registry.factory_for.cache_clear()


@pytest.mark.parametrize(
    ("made", "told"), [(object.__new__(DriverWrapper), "not awaited.*register_driver"), (None, "it has no create")]
)
def test_what_is_no_asynchronous_driver_is_refused_at_once(made: object, told: str) -> None:
    def factory(_connection: object) -> Any:
        return made

    register_async_driver(AsyncConnection, factory)
    with pytest.raises(DriverNotFound, match=told):
        get_async_driver(AsyncConnection())


class Abstract(AsyncSQLDriver):
    """Lacks what only a client library knows."""


class BlockingWrapper(DriverWrapper):
    """Is for connections whose calls are not awaited."""


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        (Abstract, "abstract class, which has no autocommit, execute"),
        (AsyncLargeObjectDriver, "protocol"),
        ("os.path", "cannot be called"),
        (BlockingWrapper, "not awaited.*register_driver"),
    ],
)
def test_what_makes_no_asynchronous_driver_is_refused_and_not_called(factory: Any, told: str) -> None:
    register_async_driver(AsyncConnection, factory)
    with pytest.raises(DriverNotFound, match=f"makes no AsyncLargeObjectDriver: .*{told}"):
        get_async_driver(AsyncConnection())


@pytest.mark.parametrize("by_entry_point", [True, False])
def test_one_among_the_others_is_not_passed_over_for_the_built_in(
    monkeypatch: pytest.MonkeyPatch, by_entry_point: bool
) -> None:
    name = f"{HERE}.AsyncConnection"
    monkeypatch.setattr(registry, "_BUILT_IN", {name: Driver})
    assert type(get_async_driver(PoolConnection())) is Driver
    drivers_registry.register_driver(object, cast("Any", BlockingWrapper))
    assert type(get_async_driver(PoolConnection())) is Driver  # not meant by this
    if by_entry_point:
        registry.factory_for_async.cache_clear()
        install_entry_points(monkeypatch, drivers={name: f"{HERE}:BlockingWrapper"})
    else:
        drivers_registry.register_driver(name, BlockingWrapper)
    try:
        for serve in (get_async_driver, partial(pg_lo_storage.load, oid=1)):
            with pytest.raises(DriverNotFound, match=r"BlockingWrapper.*not awaited.*register_async_driver"):
                serve(cast("Any", PoolConnection()))
        register_async_driver(AsyncConnection, OtherDriver)
        assert type(get_async_driver(PoolConnection())) is OtherDriver
    finally:
        drivers_registry.register_driver(object, None)
        drivers_registry.register_driver(name, None)


@pytest.mark.parametrize("registered", [True, False])
def test_a_wrapper_that_is_registered_for_what_it_wraps_gets_the_next_driver(
    monkeypatch: pytest.MonkeyPatch, registered: bool
) -> None:
    name = f"{__name__}.AsyncConnection"
    monkeypatch.setattr(registry, "_BUILT_IN", {name: Driver} if not registered else dict[str, Any]())
    monkeypatch.setattr(registry, "_registered", {name: Driver} if registered else dict[str, Any]())
    register_async_driver(PoolConnection if registered else AsyncConnection, Wrapper)
    for _ in range(2):
        driver = get_async_driver(PoolConnection())
        assert isinstance(driver, Wrapper)
        assert type(driver.wrapped) is Driver
