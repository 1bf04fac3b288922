"""Drivers that wrap another: they keep its contract, and each call of the package is still all or nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import Buffer, override

import pg_lo_storage
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.drivers import AccessMode, DriverWrapper, LargeObjectWrapper, get_driver, register_driver, registry
from pg_lo_storage.drivers.bulk import stream_descriptor
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.exceptions import NoTransactionError
from pg_lo_storage.testing import DriverConformance, InMemoryConnection, InMemoryDriver, InMemoryServer, OpenSession
from tests.fixtures.connections import Connect, RawConnection
from tests.testing.sessions import InMemorySession

LARGE = bytes(range(256)) * 8192
Register = Callable[[Any], RawConnection]


class WrappedSession(InMemorySession):
    """A session whose driver is wrapped."""

    def __init__(self, connection: InMemoryConnection) -> None:
        super().__init__(connection)
        self.driver: Any = DriverWrapper(connection, driver=InMemoryDriver)


@pytest.mark.once
class TestDriverWrapper(DriverConformance[DriverWrapper]):
    @pytest.fixture
    def open_session(self) -> OpenSession[DriverWrapper]:
        server = InMemoryServer()

        def open_session(*, autocommit: bool = False) -> WrappedSession:
            return WrappedSession(InMemoryConnection(server, autocommit=autocommit))

        return open_session


class Counting(DriverWrapper):
    """Counts the bytes that are read and written, whoever asks for them."""

    count = 0

    @override
    def open(self, oid: int, mode: AccessMode) -> LargeObjectWrapper:
        return CountingObject(super().open(oid, mode))

    @override
    def from_bytes(self, data: Buffer) -> int:
        Counting.count += memoryview(data).nbytes
        return super().from_bytes(data)

    @override
    def get(self, oid: int, offset: int, size: int) -> bytes:
        data = super().get(oid, offset, size)
        Counting.count += len(data)
        return data


class CountingObject(LargeObjectWrapper):
    """Counts those of a descriptor."""

    @override
    def read(self, size: int) -> bytes:
        data = super().read(size)
        Counting.count += len(data)
        return data

    @override
    def write(self, data: Buffer) -> int:
        Counting.count += (written := super().write(data))
        return written


class Bare:
    """Has no SQL, and nothing to begin a transaction by."""

    sql = None

    def __init__(self, connection: object) -> None:
        self._wrapped = get_driver(connection)

    def __getattr__(self, name: str) -> object:
        return getattr(self._wrapped, name)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch, connect: Connect) -> Iterator[Register]:
    """Return a connection in autocommit, after its type has got a driver."""
    monkeypatch.setattr(registry, "_registered", dict[str, Any]())
    monkeypatch.setattr(Counting, "count", 0)

    def registered(driver: Any) -> RawConnection:
        connection = connect(autocommit=True)
        register_driver(type(connection), driver)
        return connection

    yield registered
    registry.factory_for.cache_clear()


@pytest.mark.parametrize("count", [None, 0, 1, 2, 3, 9])
@pytest.mark.parametrize("kind", [LargeObjectWrapper, CountingObject])
def test_a_descriptor_yields_so_many_blocks(
    connection: RawConnection, kind: type[LargeObjectWrapper], count: int | None
) -> None:
    driver = get_driver(connection)
    wrapped = kind(driver.open(driver.from_bytes(LARGE[:250]), AccessMode.READ))
    assert list(wrapped.chunks(100, count)) == [LARGE[:100], LARGE[100:200], LARGE[200:250]][:count]


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, len(LARGE) + 1])
def test_what_has_a_read_of_its_own_is_streamed_by_that(
    connection: RawConnection, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "count", 0)
    driver = get_driver(connection)
    received: list[bytes] = []
    descriptor = CountingObject(driver.open(driver.from_bytes(LARGE), AccessMode.READ))
    done = stream_descriptor(descriptor, size, lambda block: received.append(bytes(block)))
    assert b"".join(received) == LARGE[:size]
    assert done == Counting.count == min(size, len(LARGE))


def test_a_descriptor_that_decrypts_what_it_reads_does_not_inherit_the_faster_way(connection: RawConnection) -> None:
    driver = get_driver(connection)
    descriptor: Any = driver.open(driver.from_bytes(b"terces"), AccessMode.READ)
    kind: Any = descriptor.__class__

    def read(self: Any, size: int) -> bytes:
        data: bytes = kind.read(self, size)
        return data[::-1]

    descriptor.__class__ = type("Decrypting", (kind,), {"read": read})
    received: list[bytes] = []
    stream_descriptor(descriptor, 6, lambda block: received.append(bytes(block)))
    assert received == [b"secret"]


def failing() -> Iterator[bytes]:
    yield LARGE
    yield LARGE
    raise LookupError


def test_in_autocommit_each_call_is_a_transaction_of_its_own(
    register: Register, tmp_path: Path, large_objects: Callable[[], set[int]]
) -> None:
    connection = register(Counting)
    oid = pg_lo_storage.save(connection, LARGE)
    copied = pg_lo_storage.copy(connection, oid)
    assert pg_lo_storage.lo_export(connection, copied, tmp_path / "file") == len(LARGE)
    imported = pg_lo_storage.lo_import(connection, tmp_path / "file")
    with pg_lo_storage.open(connection, imported) as file:
        assert file.read() == LARGE
    assert Counting.count == 6 * len(LARGE)
    fs = PgLoFileSystem(connection=connection)
    with fs.open(f"{oid}", "wb") as written:
        written.write(LARGE[::-1])
    assert fs.cat_file(f"{oid}") == LARGE[::-1]
    with pytest.raises(LookupError):
        pg_lo_storage.save(connection, failing())
    assert not get_driver(connection).in_transaction
    assert large_objects() == {oid, copied, imported}
    for made in large_objects():
        get_driver(connection).unlink(made)


def test_without_a_way_to_begin_one_the_error_says_what_is_lacking(
    register: Register, tmp_path: Path, large_objects: Callable[[], set[int]]
) -> None:
    connection = register(Bare)
    small = pg_lo_storage.save(connection, b"small")
    assert pg_lo_storage.load(connection, small) == b"small"
    calls: list[Callable[[], object]] = [
        lambda: pg_lo_storage.save(connection, LARGE),
        lambda: pg_lo_storage.copy(connection, small),
        lambda: pg_lo_storage.lo_export(connection, small, tmp_path / "file"),
    ]
    for call in calls:
        with pytest.raises(NoTransactionError, match=r"Bare has neither SQL nor a method transaction\(\)"):
            call()
    assert large_objects() == {small}
    get_driver(connection).unlink(small)


def test_a_wrapper_of_such_a_driver_has_none_either(register: Register) -> None:
    bare: Any = Bare

    def wrapped(raw: object) -> DriverWrapper:
        return DriverWrapper(raw, driver=bare)

    connection = register(wrapped)
    with pytest.raises(NoTransactionError, match="Bare"):
        pg_lo_storage.save(connection, LARGE)
