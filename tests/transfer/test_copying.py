"""``copy``: within the server, of one moment, and sparse where the original is."""

from collections.abc import Callable
from typing import Any

import pytest

from example.cluster import Server
from pg_lo_storage.drivers import AccessMode, SQLDriver, get_driver
from pg_lo_storage.drivers.guarded import GuardedDescriptor
from pg_lo_storage.drivers.queries import Statement
from pg_lo_storage.exceptions import StaleLargeObject
from pg_lo_storage.transfer.copying import copy_step
from tests.fixtures.connections import INSTALLED, open_connection
from tests.transfer.places import LINES, SIZES, Place


@pytest.mark.parametrize("size", [*SIZES, 65_535, 65_536, 65_537])
def test_a_copy_has_the_content(place: Place, size: int) -> None:
    oid = place.driver.from_bytes(LINES[:size])
    copied = place.copy(oid)
    assert copied != oid
    assert place.content(copied) == LINES[:size]


def test_no_bytes_of_a_copy_come_to_the_client(in_autocommit: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    oid = in_autocommit.driver.from_bytes(LINES)
    kind: Any = in_autocommit.driver_type
    seen: list[object] = []
    execute: Callable[..., object] = kind.execute

    def spy(self: object, query: str, params: tuple[object, ...] = ()) -> object:
        rows = execute(self, query, params)
        seen.extend([*params, rows])
        return rows

    monkeypatch.setattr(kind, "execute", spy)
    in_autocommit.copy(oid)
    assert seen
    assert not [value for value in seen if isinstance(value, bytes | memoryview)]
    assert max(len(repr(value)) for value in seen) < 1000


# Data at the start, within the second step of 16 MiB, and not in the last block; holes between.
SPARSE = [(0, b"start"), (20_000_000, b"in the middle"), (40_000_000, bytes(1)), (1 << 31, b"far away")]


@pytest.mark.parametrize("size", [None, (1 << 31) + 5_000_000])
def test_a_copy_of_a_sparse_object_is_as_large_and_as_sparse(place: Place, server: Server, size: int | None) -> None:
    if "postgres" not in server.roles:
        pytest.skip("PG_LO_TEST_DSN gives no superuser, who alone may look at pages")
    oid = place.driver.create()
    for offset, data in SPARSE:
        place.driver.put(oid, offset, data)
    if size is not None:
        if place.autocommit:
            place.execute("begin")
        place.driver.open(oid, AccessMode.WRITE).truncate(size)
        if place.autocommit:
            place.execute("commit")
    copied = place.copy(oid)
    if not place.autocommit:
        place.execute("commit")
    assert place.driver.size(copied) == place.driver.size(oid)
    for offset, data in SPARSE:
        assert place.driver.get(copied, max(0, offset - 5), len(data) + 10) == place.driver.get(
            oid, max(0, offset - 5), len(data) + 10
        )
    superuser = open_connection(INSTALLED[0], server.dsn(user="postgres"))
    cursor = superuser.cursor()
    cursor.execute("select count(*), sum(length(data)) from pg_largeobject where loid = %s", [copied])
    [(pages, _)] = cursor.fetchall()
    superuser.close()
    # Three blocks of 64 KB with something in them, of 2 kB pages, and the last page.
    assert pages <= 3 * 32 + 1


def test_a_copy_is_of_one_moment(in_autocommit: Place, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another session writes while the copy is made is not in it."""
    size = 20_000_000
    oid = in_autocommit.save(bytes([1]) * size)
    writer = open_connection(INSTALLED[0], server.dsn(), autocommit=True)
    kind: Any = in_autocommit.driver_type
    perform: Callable[..., object] = kind.perform
    steps = 0

    def between(self: object, statement: Statement[object]) -> object:
        nonlocal steps
        if "lowrite" in statement.query:
            steps += 1
            get_driver(writer).put(oid, size - 1000, bytes([2]) * 1000)
        return perform(self, statement)

    monkeypatch.setattr(kind, "perform", between)
    copied = in_autocommit.copy(oid)
    monkeypatch.undo()
    writer.close()
    assert steps == 2
    assert in_autocommit.load(copied) == bytes([1]) * size
    assert in_autocommit.load(oid)[-1000:] == bytes([2]) * 1000


@pytest.mark.parametrize("driver_name", INSTALLED)
def test_a_copy_whose_transaction_is_over_half_way_is_no_short_copy(driver_name: str, server: Server) -> None:
    """Another thread may commit: the next step finds that its descriptors are stale, not the end of the object."""
    connection = open_connection(driver_name, server.dsn(), autocommit=True)
    driver = get_driver(connection)
    assert isinstance(driver, SQLDriver)
    oid = driver.from_bytes(LINES)
    driver.execute("begin")
    source = GuardedDescriptor(oid, *driver.open_descriptor(oid, AccessMode.READ))
    copied = driver.create()
    target = GuardedDescriptor(copied, *driver.open_descriptor(copied, AccessMode.WRITE))
    driver.execute("commit")
    driver.execute("begin")
    others = [driver.open(oid, AccessMode.READ), driver.open(driver.create(), AccessMode.WRITE)]
    with pytest.raises(StaleLargeObject):
        driver.perform(copy_step(source, target))
    assert [other.tell() for other in others] == [0, 0]
    driver.execute("rollback")
    connection.close()
