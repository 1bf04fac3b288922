"""Large writes whose blocks pass to a sink as well, a digest for example, while the server writes them."""

from collections.abc import Iterator

import pytest

from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.drivers.bulk import write_through
from pg_lo_storage.drivers.values import BLOCK
from tests.drivers.support import WRITE, content, is_aborted
from tests.fixtures.connections import Connect, RawConnection, run
from tests.fixtures.proxy import Wire

# More than is sent at once where the blocks may come over the connection itself.
BLOCKS = [bytes([number]) * 2 * BLOCK for number in range(1, 14)]
WHOLE = b"".join(BLOCKS)
APART_OR_NOT = pytest.mark.parametrize("apart", [True, False], ids=["apart", "not apart"])


class Stopped(BaseException):
    """As KeyboardInterrupt."""


def failing(error: type[BaseException]) -> Iterator[bytes]:
    yield from BLOCKS[:10]
    raise error


@APART_OR_NOT
def test_the_object_and_the_sink_get_all_blocks_at_the_position(driver: LargeObjectDriver, *, apart: bool) -> None:
    descriptor, passed = driver.open(driver.from_bytes(b"before, after"), WRITE), list[bytes]()
    descriptor.seek(7)
    assert write_through(descriptor, BLOCKS, lambda block: passed.append(bytes(block)), apart=apart) == len(WHOLE)
    assert descriptor.tell() == 7 + len(WHOLE)
    assert b"".join(passed) == WHOLE
    assert content(driver, descriptor.oid) == b"before," + WHOLE


@APART_OR_NOT
def test_what_came_before_a_failure_is_written(
    connection: RawConnection, driver: LargeObjectDriver, *, apart: bool
) -> None:
    descriptor, passed = driver.open(driver.create(), WRITE), list[bytes]()
    with pytest.raises(ZeroDivisionError):
        write_through(descriptor, failing(ZeroDivisionError), lambda block: passed.append(bytes(block)), apart=apart)
    assert b"".join(passed) == b"".join(BLOCKS[:10]) == content(driver, descriptor.oid)
    assert descriptor.tell() == 10 * len(BLOCKS[0])
    assert not is_aborted(connection)


@APART_OR_NOT
def test_after_an_interruption_the_connection_can_be_used(
    connection: RawConnection, driver: LargeObjectDriver, *, apart: bool
) -> None:
    descriptor = driver.open(driver.create(), WRITE)
    with pytest.raises(Stopped):
        write_through(descriptor, failing(Stopped), apart=apart)
    connection.rollback()
    assert run(connection, "select 1") == [(1,)]


def test_blocks_may_come_over_the_same_connection(driver: LargeObjectDriver, connection: RawConnection) -> None:
    def asked() -> Iterator[bytes]:
        for block in BLOCKS:
            assert run(connection, "select 1") == [(1,)]
            yield block

    descriptor = driver.open(driver.create(), WRITE)
    assert write_through(descriptor, asked(), lambda _block: None) == len(WHOLE)
    assert content(driver, descriptor.oid) == WHOLE


def test_what_comes_from_elsewhere_is_sent_without_a_wait(connect: Connect, wire: Wire, driver_name: str) -> None:
    driver = get_driver(connect(dsn=wire.dsn))
    descriptor = driver.open(driver.create(), WRITE)
    with wire.counting() as trips:
        write_through(descriptor, BLOCKS, apart=True)
    # Both ask for the position. psycopg2 looks up the functions' numbers, asks whether the object is there, opens a
    # lobject, writes each block, closes it, and moves the descriptor on.
    assert trips.count == {"psycopg": 1 + 1, "psycopg2": 1 + 3 + len(BLOCKS) + 2}[driver_name]
