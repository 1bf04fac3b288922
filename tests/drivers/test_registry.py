"""How the driver of a connection is found."""

import contextvars
import importlib.metadata
import re
import subprocess
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest
from django.db import connection as django_connection
from django.db import connections
from typing_extensions import override

from pg_lo_storage import drivers
from pg_lo_storage.aio import AsyncDriverWrapper, register_async_driver
from pg_lo_storage.drivers import DriverNotFound, LargeObjectDriver, get_driver, register_driver, registry
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.testing import InMemoryDriver
from tests.fixtures.connections import Connect, RawConnection

BUILT_IN = {"psycopg": "Psycopg3Driver", "psycopg2": "Psycopg2Driver"}


class Connection:
    """A connection of a driver that nobody has heard of."""


class PoolConnection(Connection):
    """The same, of a connection pool."""


class Proxy:
    """Stands for an object, as tracing libraries have it around connections."""

    def __init__(self, wrapped: object, told: type | None = None) -> None:
        self.__dict__.update(wrapped=wrapped, told=told or type(wrapped))

    def __getattr__(self, name: str) -> object:
        return getattr(self.__dict__["wrapped"], name)

    @property  # type: ignore[misc]  # mypy takes __class__ for an attribute that one may set
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        told: type = self.__dict__["told"]
        return told


class Driver(SQLDriver):
    """A driver that can be made, which is all that the registry does with one."""

    def __init__(self, connection: object) -> None:
        self.connection = connection

    @staticmethod
    def made_otherwise(connection: object) -> "OtherDriver":
        return OtherDriver(connection)

    @override
    def execute(self, query: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
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


class ThirdDriver(Driver): ...


def make_driver(connection: object) -> Driver:
    return Driver(connection)


HERE = Driver.__module__
DRIVER = f"{HERE}.Driver"


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the registry as it was: other tests have their own idea of it."""
    monkeypatch.setattr(registry, "_registered", dict[str, Any]())
    registry.factory_for.cache_clear()
    yield
    registry.factory_for.cache_clear()


def install_entry_points(monkeypatch: pytest.MonkeyPatch, *, group: str = "drivers", **points: str) -> None:
    """Have packages offer these drivers."""
    offered = f"pg_lo_storage.{group}"

    def entry_points(*, group: str) -> importlib.metadata.EntryPoints:
        assert group in {"pg_lo_storage.drivers", "pg_lo_storage.async_drivers"}
        return importlib.metadata.EntryPoints(
            importlib.metadata.EntryPoint(name, value, group) for name, value in points.items() if group == offered
        )

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def test_the_built_in_driver_is_picked_by_the_connections_type(connection: RawConnection, driver_name: str) -> None:
    driver = get_driver(connection)
    assert type(driver) is getattr(drivers, BUILT_IN[driver_name])
    assert driver.exists(driver.create())


def test_a_subclass_of_a_connection_has_the_same_driver(connection: RawConnection, driver_name: str) -> None:
    subclass: type = type("Subclass", (type(connection),), {})
    assert type(get_driver(Proxy(connection, subclass))).__name__ == BUILT_IN[driver_name]


def test_a_transparent_proxy_has_the_driver_of_what_it_stands_for(connection: RawConnection, driver_name: str) -> None:
    driver = get_driver(Proxy(connection))
    assert type(driver) is getattr(drivers, BUILT_IN[driver_name])
    assert driver.get(driver.from_bytes(b"content"), 0, 100) == b"content"


@pytest.mark.parametrize("driver", [Driver, make_driver, DRIVER, f"{HERE}:Driver"])
def test_an_explicit_driver_is_a_class_a_factory_or_a_dotted_name(driver: Any) -> None:
    connection = Connection()
    made = get_driver(connection, driver=driver)
    assert type(made) is Driver
    assert made.connection is connection


@pytest.mark.parametrize("connection_type", [Connection, f"{HERE}.Connection"])
@pytest.mark.parametrize("factory", [Driver, make_driver, DRIVER])
@pytest.mark.parametrize("connection", [Connection(), PoolConnection()])
def test_a_registered_driver_serves_its_type_and_subclasses(
    connection_type: type | str, factory: Any, connection: Connection
) -> None:
    register_driver(connection_type, factory)
    assert type(get_driver(connection)) is Driver


def test_a_driver_may_be_registered_after_none_was_found() -> None:
    with pytest.raises(DriverNotFound):
        get_driver(Connection())
    register_driver(Connection, Driver)
    assert type(get_driver(Connection())) is Driver


def test_the_later_registration_of_a_type_replaces_the_earlier_and_returns_it() -> None:
    assert register_driver(Connection, Driver) is None
    assert type(get_driver(Connection())) is Driver
    assert register_driver(f"{HERE}.Connection", OtherDriver) is Driver
    assert type(get_driver(Connection())) is OtherDriver
    assert register_driver(Connection, DRIVER) is OtherDriver
    assert register_driver(Connection, Driver) == DRIVER


def test_what_was_registered_before_can_be_restored_also_where_that_is_nothing() -> None:
    nothing = register_driver(Connection, Driver)
    first = register_driver(Connection, OtherDriver)
    register_driver(Connection, first)
    assert type(get_driver(Connection())) is Driver
    register_driver(f"{HERE}.Connection", nothing)
    with pytest.raises(DriverNotFound):
        get_driver(Connection())


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a class in the package around the module that defines it."""
    module = types.ModuleType("public_connections")
    vars(module)["Connection"] = Connection
    monkeypatch.setitem(sys.modules, "public_connections", module)
    return "public_connections.Connection"


@pytest.mark.parametrize("connection", [Connection(), PoolConnection()])
def test_a_class_may_be_registered_by_any_name_that_it_is_imported_by(public: str, connection: object) -> None:
    register_driver(public, Driver)
    assert type(get_driver(connection)) is Driver


def test_the_names_of_a_class_are_one_registration(public: str) -> None:
    assert register_driver(Connection, Driver) is None
    assert register_driver(public, OtherDriver) is Driver
    assert type(get_driver(Connection())) is OtherDriver
    assert register_driver(f"{HERE}.Connection", ThirdDriver) is OtherDriver
    assert type(get_driver(Connection())) is ThirdDriver


def test_a_name_may_be_registered_before_its_class_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    register_driver("public_later.Connection", OtherDriver)
    register_driver(Connection, Driver)
    assert type(get_driver(Connection())) is Driver
    register_driver("public_later.Connection", OtherDriver)
    module = types.ModuleType("public_later")
    vars(module)["Connection"] = Connection
    monkeypatch.setitem(sys.modules, "public_later", module)
    registry.factory_for.cache_clear()
    assert type(get_driver(Connection())) is OtherDriver


def test_an_entry_point_may_have_any_name_of_the_class(monkeypatch: pytest.MonkeyPatch, public: str) -> None:
    install_entry_points(monkeypatch, **{public: f"{HERE}:Driver"})
    assert type(get_driver(PoolConnection())) is Driver


def test_a_name_that_leads_nowhere_imports_nothing_and_the_error_says_which_it_has_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = types.ModuleType("importing_connections")

    def imports(name: str) -> None:
        raise AssertionError(name)

    vars(module)["__getattr__"] = imports
    monkeypatch.setitem(sys.modules, "importing_connections", module)
    register_driver("importing_connections.Connection", Driver)
    register_driver("idlelib.run.Connection", Driver)
    assert "idlelib.run" not in sys.modules
    with pytest.raises(DriverNotFound, match=re.escape(f"register_driver('{HERE}.Connection', ...)")):
        get_driver(Connection())
    assert "idlelib.run" not in sys.modules


class Half:
    """Has two of a driver's members."""

    sql = None

    def __init__(self, connection: object) -> None:
        self.connection = connection

    def size(self, oid: int) -> int:
        raise AssertionError(oid)


class Forwarding(Half):
    """Has the others by asking another."""

    def __getattr__(self, name: str) -> object:
        return getattr(InMemoryDriver(), name)


def making_none(_connection: object) -> None:
    return None


@pytest.mark.parametrize(
    ("factory", "made"), [(Half, "Half"), (f"{HERE}:Half", "Half"), (making_none, "NoneType")], ids=repr
)
def test_what_is_no_driver_is_refused_at_once(factory: Any, made: str) -> None:
    told = rf"{made}, which is no LargeObjectDriver: it has no create, exists, from_bytes"
    with pytest.raises(DriverNotFound, match=told):
        get_driver(Connection(), driver=factory)
    register_driver(Connection, factory)
    with pytest.raises(DriverNotFound, match=told):
        get_driver(Connection())


class Abstract(SQLDriver):
    """Lacks what only a client library knows."""


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        (Abstract, "it is an abstract class, which has no autocommit, execute, in_transaction, sqlstate$"),
        (LargeObjectDriver, "it is a protocol, which is abstract$"),
        ("os.path", "it cannot be called$"),
        (AsyncDriverWrapper, r"it is asynchronous, so it is for register_async_driver\(\), or an entry point of the"),
    ],
)
def test_what_makes_no_driver_is_refused_with_the_reason_and_is_not_called(factory: Any, told: str) -> None:
    with pytest.raises(DriverNotFound, match=f"makes no LargeObjectDriver: {told}"):
        get_driver(Connection(), driver=factory)
    register_driver(Connection, factory)
    with pytest.raises(DriverNotFound, match=told):
        get_driver(Connection())


@pytest.mark.parametrize("by_entry_point", [True, False])
def test_one_among_the_asynchronous_drivers_is_not_passed_over_for_the_built_in(
    monkeypatch: pytest.MonkeyPatch, connection: RawConnection, driver_name: str, by_entry_point: bool
) -> None:
    assert type(get_driver(connection)).__name__ == BUILT_IN[driver_name]
    name = "psycopg.Connection" if driver_name == "psycopg" else "psycopg2.extensions.connection"
    if by_entry_point:
        registry.factory_for.cache_clear()
        install_entry_points(monkeypatch, group="async_drivers", **{name: f"{HERE}:Driver"})
    else:
        register_async_driver(name, cast("Any", Driver))
    try:
        with pytest.raises(
            DriverNotFound,
            match=r"Driver.* among the asynchronous drivers, and their calls are not awaited: it is for"
            r" register_driver\(\), or an entry point of the group 'pg_lo_storage\.drivers'$",
        ):
            get_driver(connection)
    finally:
        register_async_driver(name, None)
    register_driver(name, OtherDriver)
    assert type(get_driver(connection)) is OtherDriver


@pytest.mark.parametrize("is_general", [True, False])
def test_what_is_awaited_does_not_concern_those_that_are_not(
    connection: RawConnection, driver_name: str, is_general: bool
) -> None:
    kind = object if is_general else type(connection)
    before = register_async_driver(kind, AsyncDriverWrapper)
    try:
        assert type(get_driver(connection)).__name__ == BUILT_IN[driver_name]
    finally:
        register_async_driver(kind, before)


def test_a_driver_may_have_its_members_by_asking_another() -> None:
    register_driver(Connection, f"{HERE}.Forwarding")
    assert type(get_driver(Connection())).__name__ == "Forwarding"


def test_an_asynchronous_driver_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    install_entry_points(monkeypatch, **{f"{HERE}.Connection": f"{HERE}:asynchronous"})
    with pytest.raises(DriverNotFound, match=r"asynchronous.*register_async_driver.*pg_lo_storage\.async_drivers"):
        get_driver(Connection())


def asynchronous(_connection: object) -> AsyncDriverWrapper:
    return object.__new__(AsyncDriverWrapper)


def test_the_driver_of_the_subclass_comes_first() -> None:
    register_driver(PoolConnection, OtherDriver)
    register_driver(Connection, Driver)
    assert type(get_driver(PoolConnection())) is OtherDriver
    assert type(get_driver(Connection())) is Driver


def test_dotted_names_are_loaded_when_such_a_connection_appears(tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "lazy_driver.py").write_text(f"from {HERE} import Driver\n")
    monkeypatch.syspath_prepend(tmp_path)
    register_driver("lazy_connections.Connection", "lazy_driver.Driver")
    register_driver(f"{HERE}.Connection", "lazy_driver.Driver")
    assert "lazy_driver" not in sys.modules
    assert type(get_driver(Connection())) is Driver
    del sys.modules["lazy_driver"]
    assert "lazy_connections" not in sys.modules


@pytest.mark.parametrize("value", [f"{HERE}:Driver", f"{HERE}:Driver [extra]"])
def test_an_entry_point_serves_the_class_it_is_named_after(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    install_entry_points(monkeypatch, **{f"{HERE}.Connection": value})
    assert type(get_driver(PoolConnection())) is Driver


def test_an_entry_point_may_name_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    install_entry_points(monkeypatch, **{f"{HERE}.Connection": f"{HERE}:Driver.made_otherwise"})
    assert type(get_driver(Connection())) is OtherDriver


def test_a_broken_entry_point_harms_only_those_who_need_it(
    monkeypatch: pytest.MonkeyPatch, connection: RawConnection, driver_name: str
) -> None:
    install_entry_points(monkeypatch, **{f"{HERE}.Connection": "no_such_module:Driver"})
    assert type(get_driver(connection)).__name__ == BUILT_IN[driver_name]
    with pytest.raises(DriverNotFound, match="no_such_module"):
        get_driver(Connection())


def test_the_argument_comes_before_register_driver_before_entry_points_before_the_built_in(
    connect: Connect, driver_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect()
    name = "psycopg.Connection" if driver_name == "psycopg" else "psycopg2.extensions.connection"
    assert type(get_driver(connection)).__name__ == BUILT_IN[driver_name]
    registry.factory_for.cache_clear()
    install_entry_points(monkeypatch, **{name: f"{HERE}:Driver"})
    assert type(get_driver(connection)) is Driver
    register_driver(name, OtherDriver)
    assert type(get_driver(connection)) is OtherDriver
    assert type(get_driver(connection, driver=ThirdDriver)) is ThirdDriver


def test_no_driver_says_what_was_tried_and_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    register_driver("registered.Connection", Driver)
    install_entry_points(monkeypatch, **{"offered.Connection": f"{HERE}:Driver"})
    with pytest.raises(DriverNotFound) as caught:
        get_driver(Connection())
    assert isinstance(caught.value, LookupError)
    assert isinstance(caught.value, LargeObjectError)
    for part in (
        f"{HERE}.Connection",
        "registered.Connection",
        "offered.Connection",
        "psycopg.Connection",
        "psycopg2.extensions.connection",
        "pg-lo-storage[psycopg]",
        "pg-lo-storage[psycopg2]",
        "register_driver",
    ):
        assert part in str(caught.value)


def test_no_driver_lists_what_is_known_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    register_driver("registered.Connection", Driver)
    register_driver("registered.Other", Driver)
    install_entry_points(monkeypatch)
    with pytest.raises(DriverNotFound) as caught:
        get_driver(Connection())
    told = (
        f"no driver serves connections of type '{HERE}.Connection'; known are, by register_driver:"
        " registered.Connection, registered.Other; by entry points: none; by the package itself: "
    )
    assert told in str(caught.value)
    advice = (
        ". Pass a psycopg.Connection (install 'pg-lo-storage[psycopg]') or a psycopg2 connection (install"
        " 'pg-lo-storage[psycopg2]'), or name your own driver with"
        f" register_driver('{HERE}.Connection', ...) or driver="
    )
    assert str(caught.value).endswith(advice)


DJANGOS_ADVICE = "This is Django's wrapper: pass its .connection, or use DbFileIO(alias=...)"
AWAITED_ADVICE = "An asynchronous connection needs an asynchronous driver; open a psycopg.Connection for this one"
SQLALCHEMYS_ADVICE = (
    "Pass SQLAlchemy's Connection, Session, AsyncConnection or AsyncSession itself, so that it knows of the transaction"
)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("django.utils.connection.ConnectionProxy", DJANGOS_ADVICE),
        ("psycopg.AsyncConnection", AWAITED_ADVICE),
        ("sqlalchemy.engine.base.Engine", SQLALCHEMYS_ADVICE),
    ],
)
def test_who_passes_something_else_than_a_raw_connection_is_told_what_to_pass(name: str, advice: str) -> None:
    module, _, name = name.rpartition(".")
    with pytest.raises(DriverNotFound) as caught:
        get_driver(type(name, (), {"__module__": module})())
    assert str(caught.value).endswith(f". {advice}")


@pytest.mark.parametrize("wrapper", [connections["default"], django_connection], ids=["alias", "proxy"])
def test_djangos_wrapper_is_told_from_the_connection_it_wraps(wrapper: object) -> None:
    with pytest.raises(DriverNotFound, match=r"Django.*\.connection"):
        get_driver(wrapper)


@pytest.mark.parametrize(
    "name",
    ["no_such_module.Driver", f"{HERE}.NoSuchDriver", f"{HERE}:No.Such", "nothing", "", ".", ".relative.Driver"],
)
def test_a_name_that_cannot_be_imported_says_so(name: str) -> None:
    with pytest.raises(DriverNotFound, match="imported") as caught:
        get_driver(Connection(), driver=name)
    assert repr(name) in str(caught.value)
    assert caught.value.__cause__ is not None
    register_driver(Connection, name)
    with pytest.raises(DriverNotFound, match="imported"):
        get_driver(Connection())


def test_importing_the_package_imports_no_driver() -> None:
    program = """
import sys, pg_lo_storage.drivers, pg_lo_storage.io, pg_lo_storage.names, pg_lo_storage.exceptions
print([name for name in sys.modules if name.startswith(("psycopg", "django"))])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_drivers_are_attributes_of_the_package_where_they_are_installed(driver_name: str) -> None:
    name = BUILT_IN[driver_name]
    assert getattr(drivers, name).__name__ == name
    assert name in drivers.__all__
    with pytest.raises(AttributeError, match="NoSuchDriver"):
        drivers.NoSuchDriver  # noqa: B018


@pytest.mark.parametrize(("name", "module"), [("psycopg", "psycopg3"), ("psycopg2", "psycopg2")])
def test_a_driver_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch, name: str, module: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"pg_lo_storage.drivers.{module}", raising=False)
    with pytest.raises(AttributeError, match=rf"{name}\b"):
        getattr(drivers, BUILT_IN[name])
    assert not hasattr(drivers, BUILT_IN[name])


class Wrapper(Driver):
    """Wraps the driver that its connection would have without it."""

    def __init__(self, connection: object) -> None:
        super().__init__(connection)
        self.wrapped = get_driver(connection)


def test_a_wrapper_that_is_registered_for_what_it_wraps_gets_the_next_driver(
    connection: RawConnection, driver_name: str
) -> None:
    register_driver(type(connection), Wrapper)
    for _ in range(2):
        driver = get_driver(connection)
        assert isinstance(driver, Wrapper)
        assert type(driver.wrapped) is getattr(drivers, BUILT_IN[driver_name])


class Remembering(Wrapper):
    """Keeps the context in which it was made, as a task does that it starts."""

    def __init__(self, connection: object) -> None:
        super().__init__(connection)
        self.context = contextvars.copy_context()


def test_what_a_wrapper_starts_is_not_served_past_it(connection: RawConnection) -> None:
    register_driver(type(connection), Remembering)
    driver = get_driver(connection)
    assert isinstance(driver, Remembering)
    assert isinstance(driver.context.run(get_driver, connection), Remembering)


def test_a_wrapper_that_is_named_and_registered_wraps_once(connection: RawConnection, driver_name: str) -> None:
    register_driver(type(connection), Wrapper)
    driver = get_driver(connection, driver=Wrapper)
    assert isinstance(driver, Wrapper)
    assert type(driver.wrapped) is getattr(drivers, BUILT_IN[driver_name])


def test_wrappers_of_a_class_and_of_its_base_wrap_each_other() -> None:
    register_driver(PoolConnection, Wrapper)
    register_driver(Connection, OtherDriver)
    driver = get_driver(PoolConnection())
    assert isinstance(driver, Wrapper)
    assert type(driver.wrapped) is OtherDriver


def test_a_wrapper_of_nothing_says_so() -> None:
    register_driver(Connection, Wrapper)
    with pytest.raises(DriverNotFound, match=r"Connection"):
        get_driver(Connection())
    register_driver(Connection, OtherDriver)
    assert type(get_driver(Connection())) is OtherDriver


def test_of_a_driver_that_says_nothing_of_it_rows_are_in_memory_all_at_once() -> None:
    assert not Driver(object()).is_streaming
