"""Threads on one connection, in one transaction, each with files of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.io import LargeObjectIO
from tests.fixtures.connections import RawConnection

THREADS, ROUNDS, SIZE = 6, 40, 5000


def own(thread: int) -> bytes:
    return bytes([65 + thread]) * SIZE


def read_whole(driver: LargeObjectDriver, oid: int) -> bytes:
    with LargeObjectIO(driver, oid) as file:
        return file.read()


def read_in_jumps(driver: LargeObjectDriver, oid: int) -> bytes:
    with LargeObjectIO(driver, oid) as file:
        file.seek(SIZE // 2)
        end = file.read(file.size)
        file.seek(0)
        return file.read(SIZE // 2) + end


def ask_around(driver: LargeObjectDriver, oid: int) -> bytes:
    assert driver.exists(oid)
    assert driver.size(oid) == SIZE
    return driver.get(oid, 0, SIZE) if LargeObjectIO(driver, oid).close() is None else b""


def rewrite(driver: LargeObjectDriver, oid: int) -> bytes:
    with LargeObjectIO(driver, oid, "rb+") as file:
        data = file.read(1) * SIZE
        file.seek(0)
        file.write(data)
        file.seek(0)
        return file.read()


USES = [read_whole, read_in_jumps, ask_around, rewrite]


def run_together(
    connection: RawConnection, oids: list[int], use: Callable[[int], Callable[[LargeObjectDriver, int], bytes]]
) -> None:
    def work(thread: int) -> None:
        # A driver of its own: the connection is what is shared.
        driver = get_driver(connection)
        for _ in range(ROUNDS):
            assert use(thread)(driver, oids[thread]) == own(thread)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work, thread) for thread in range(THREADS)]:
            done.result()


@pytest.fixture
def oids(driver: LargeObjectDriver) -> list[int]:
    return [driver.from_bytes(own(thread)) for thread in range(THREADS)]


@pytest.mark.parametrize("use", USES)
def test_each_thread_has_the_bytes_of_its_own_file(
    connection: RawConnection, oids: list[int], use: Callable[[LargeObjectDriver, int], bytes]
) -> None:
    run_together(connection, oids, lambda _thread: use)


def test_each_thread_may_use_its_file_in_another_way(connection: RawConnection, oids: list[int]) -> None:
    run_together(connection, oids, lambda thread: USES[thread % len(USES)])
    driver = get_driver(connection)
    assert [driver.get(oid, 0, SIZE + 1) for oid in oids] == [own(thread) for thread in range(THREADS)]
