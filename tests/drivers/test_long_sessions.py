"""A session that opens many objects costs the server no more than one that opens few."""

import os
from pathlib import Path

import pytest

from example.cluster import Server
from pg_lo_storage.drivers import LargeObjectDriver
from pg_lo_storage.drivers.queries import MAKE_FAST, SETTINGS, from_bytes
from tests.drivers.support import READ, READ_WRITE, execute
from tests.drivers.test_descriptor_lifetime import assert_stale
from tests.fixtures.connections import Connect, RawConnection, run


@pytest.fixture
def connection(connect: Connect, server: Server) -> RawConnection:
    """A session that is new: what another test left of it would be counted."""
    return connect(dsn=server.dsn())


def made(connection: RawConnection, count: int) -> list[int]:
    """Make objects, each with its number as content."""
    query = "select lo_from_bytea(0, convert_to(n::text, 'utf8'))::int8 from generate_series(0, %s) as n"
    return [oid for (oid,) in run(connection, query, [count - 1])]


def names_set(connection: RawConnection, oids: list[int]) -> int:
    """Count the settings there are in the session; no view shows those of a prefix that no extension has."""
    query = (
        "select count(*) from (select 'pg_lo_storage.fd' || n from generate_series(0, 5000) as n"
        " union all select 'pg_lo_storage.' || w || n from unnest(%s::text[]) as n, unnest('{of,fd}'::text[]) as w)"
        " as names (name) where current_setting(name, true) is not null"
    )
    [(count,)] = run(connection, query, [list(map(str, oids))])
    return int(count)


def private_kilobytes(connection: RawConnection) -> int:
    """Return how much memory the backend has to itself; 0 where that cannot be read here."""
    [(pid,)] = run(connection, "select pg_backend_pid()")
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def pages_asked_for(connection: RawConnection) -> int:
    """Return how many pages of memory the backend has asked the system for; 0 where that cannot be read here."""
    [(pid,)] = run(connection, "select pg_backend_pid()")
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(status.rpartition(")")[2].split()[7])


def test_an_object_that_was_opened_leaves_nothing_in_the_session(
    connection: RawConnection, driver: LargeObjectDriver
) -> None:
    few, *oids = (made(connection, 300) for _ in range(8))

    def use(oids: list[int]) -> tuple[int, int]:
        for oid in oids:
            driver.open(oid, READ).close()
        driver.unlink(oids[0])
        connection.commit()
        return names_set(connection, oids), private_kilobytes(connection)

    names, memory = use(few)
    assert names == 1
    uses = [use(some) for some in oids]
    assert {count for count, _ in uses} == {names}
    assert uses[-1][1] < memory + 300, "a name takes from 230 to 450 bytes: 2,100 of them more than that"


def test_thousands_are_open_at_once_by_a_constant_number_of_settings(
    connection: RawConnection, driver: LargeObjectDriver
) -> None:
    oids = made(connection, 2000)
    descriptors = [driver.open(oid, READ) for oid in oids]
    assert names_set(connection, oids) == SETTINGS
    for number in (0, 1, SETTINGS - 1, SETTINGS, 7 * SETTINGS, 1999):
        assert descriptors[number].read(10) == str(number).encode()


def test_of_thousands_each_is_stale_by_itself(connection: RawConnection, driver: LargeObjectDriver) -> None:
    oids = made(connection, 3 * SETTINGS)
    descriptors = [driver.open(oid, READ_WRITE) for oid in oids]
    alike = [descriptors[number] for number in range(5, 3 * SETTINGS, SETTINGS)]
    driver.unlink(alike[1].oid)
    assert_stale(alike[1])
    alike[0].close()
    execute(connection, "savepoint s")
    again = [driver.open(oid, READ) for oid in oids[:2]]
    assert [descriptor.read(10) for descriptor in again] == [b"0", b"1"], "the numbers of the first two alike"
    assert_stale(alike[1])
    execute(connection, "rollback to s")
    for descriptor in (*again, alike[0], alike[1]):
        assert_stale(descriptor)
    assert alike[2].read(10) == str(5 + 2 * SETTINGS).encode()
    assert driver.open(oids[7], READ).read(10) == b"7"
    assert alike[2].read(10) == b""


def test_after_its_first_saves_a_session_keeps_the_memory_for_others(
    connection: RawConnection, driver: LargeObjectDriver
) -> None:
    assert driver.sql is not None
    statement = from_bytes(os.urandom(250_000), MAKE_FAST)
    pages: list[int] = []
    for _ in range(7):
        driver.sql.execute(statement.query, statement.params)
        pages.append(pages_asked_for(connection))
    assert pages[-1] - pages[1] < 1200, "each asks for 150, of shared memory for most, where it would ask for 350"
