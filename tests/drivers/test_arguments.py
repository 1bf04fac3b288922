"""Arguments that no call can serve are refused before the server would abort the transaction."""

import io
from collections.abc import Callable
from typing import Any, cast

import pytest

from pg_lo_storage.drivers import MAX_SIZE, AccessMode, LargeObject, LargeObjectDriver
from pg_lo_storage.exceptions import LargeObjectTooLarge, StaleLargeObject
from tests.drivers.support import READ, READ_WRITE, WRITE, content, is_aborted, opened
from tests.fixtures.connections import RawConnection

DATA = b"0123456789"
# Any: what a checker would refuse is the point.
HALF = cast("Any", 1.5)

OUT_OF_RANGE: dict[str, tuple[Callable[[LargeObject], object], type[Exception]]] = {
    "before the start": (lambda it: it.seek(-1), ValueError),
    "before the start, from here": (lambda it: it.seek(-4, 1), ValueError),
    "before the start, from the end": (lambda it: it.seek(-1000, 2), ValueError),
    "no whence": (lambda it: it.seek(0, 3), ValueError),
    "past the end": (lambda it: it.seek(MAX_SIZE + 1), LargeObjectTooLarge),
    "past the end, from here": (lambda it: it.seek(MAX_SIZE - 2, 1), LargeObjectTooLarge),
    "past the end, from the end": (lambda it: it.seek(MAX_SIZE, 2), LargeObjectTooLarge),
    "beyond 64 bits": (lambda it: it.seek(2**70), LargeObjectTooLarge),
    "beyond 64 bits, from here": (lambda it: it.seek(2**70, 1), LargeObjectTooLarge),
    "beyond 64 bits, from the end": (lambda it: it.seek(2**70, 2), LargeObjectTooLarge),
    "far before, from here": (lambda it: it.seek(-(2**70), 1), ValueError),
    "a half": (lambda it: it.seek(HALF), TypeError),
    "read less than nothing": (lambda it: it.read(-1), ValueError),
    "blocks too large": (lambda it: list(it.chunks((1 << 28) + 1)), ValueError),
    "read a half": (lambda it: it.read(HALF), TypeError),
    "truncate to less than nothing": (lambda it: it.truncate(-1), ValueError),
    "truncate past the end": (lambda it: it.truncate(MAX_SIZE + 1), LargeObjectTooLarge),
    "truncate to a half": (lambda it: it.truncate(HALF), TypeError),
}


@pytest.mark.parametrize("call", OUT_OF_RANGE)
def test_an_argument_out_of_range_changes_nothing(
    connection: RawConnection, driver: LargeObjectDriver, call: str
) -> None:
    descriptor = opened(driver, DATA)
    descriptor.seek(3)
    use, error = OUT_OF_RANGE[call]
    with pytest.raises(error):
        use(descriptor)
    assert not is_aborted(connection)
    assert descriptor.tell() == 3
    assert descriptor.read(100) == DATA[3:]
    assert content(driver, descriptor.oid) == DATA


@pytest.mark.parametrize("whence", [0, 1, 2])
def test_an_offset_in_range_is_reached_from_everywhere(driver: LargeObjectDriver, whence: int) -> None:
    descriptor = opened(driver, DATA)
    descriptor.seek(3)
    base = (0, 3, 10)[whence]
    for target in (0, 2, 10, 2**33, MAX_SIZE):
        descriptor.seek(3)
        assert descriptor.seek(target - base, whence) == descriptor.tell() == target


@pytest.mark.parametrize("mode", [WRITE, READ_WRITE])
def test_what_does_not_fit_is_not_written(
    connection: RawConnection, driver: LargeObjectDriver, mode: AccessMode
) -> None:
    descriptor = opened(driver, b"", mode)
    descriptor.seek(MAX_SIZE - 2)
    writes: list[Callable[[], int]] = [lambda: descriptor.write(b"abc"), lambda: descriptor.write_all([b"abc"])]
    for write in writes:
        with pytest.raises(LargeObjectTooLarge) as caught:
            write()
        assert caught.value.oid == descriptor.oid
        assert not is_aborted(connection)
        assert (descriptor.tell(), driver.size(descriptor.oid)) == (MAX_SIZE - 2, 0)
    assert descriptor.write(b"ab") == 2
    assert driver.size(descriptor.oid) == MAX_SIZE


WRITING: dict[str, Callable[[LargeObject], object]] = {
    "write": lambda it: it.write(b"x"),
    "write nothing": lambda it: it.write(b""),
    "write_all": lambda it: it.write_all([b"x"]),
    "truncate": lambda it: it.truncate(3),
}


@pytest.mark.parametrize("call", WRITING)
def test_a_descriptor_for_reading_writes_nothing(
    connection: RawConnection, driver: LargeObjectDriver, call: str
) -> None:
    descriptor = opened(driver, DATA, READ)
    with pytest.raises(io.UnsupportedOperation):
        WRITING[call](descriptor)
    assert not is_aborted(connection)
    assert descriptor.read(100) == content(driver, descriptor.oid) == DATA


@pytest.mark.parametrize("call", WRITING)
def test_a_stale_descriptor_for_reading_is_stale_first(
    connection: RawConnection, driver: LargeObjectDriver, call: str
) -> None:
    descriptor = opened(driver, DATA, READ)
    connection.commit()
    opened(driver, b"current")
    with pytest.raises(StaleLargeObject):
        WRITING[call](descriptor)
    assert not is_aborted(connection)


@pytest.mark.parametrize("mode", [AccessMode(0), cast("AccessMode", 7), cast("AccessMode", 0x80000)])
def test_a_mode_that_is_none_is_refused(connection: RawConnection, driver: LargeObjectDriver, mode: AccessMode) -> None:
    oid = driver.from_bytes(DATA)
    with pytest.raises(ValueError, match="READ_WRITE"):
        driver.open(oid, mode)
    assert not is_aborted(connection)


@pytest.mark.parametrize("size", [-1, (1 << 28) + 1, 2**31, 2**70])
def test_a_block_that_one_statement_cannot_hold_is_refused(
    connection: RawConnection, driver: LargeObjectDriver, size: int
) -> None:
    oid = driver.from_bytes(DATA)
    with pytest.raises(ValueError, match="block"):
        driver.get(oid, 0, size)
    assert not is_aborted(connection)


def test_a_block_as_large_as_may_be_is_read(driver: LargeObjectDriver) -> None:
    assert driver.get(driver.from_bytes(DATA), 0, 1 << 28) == DATA


NOT_WHOLE: dict[str, Callable[[LargeObjectDriver], object]] = {
    "unlink": lambda it: it.unlink(HALF),
    "exists": lambda it: it.exists(HALF),
    "size": lambda it: it.size(HALF),
    "open": lambda it: it.open(HALF, READ),
    "create": lambda it: it.create(HALF),
    "get": lambda it: it.get(HALF, 0, 1),
    "get from": lambda it: it.get(1, HALF, 1),
    "get size": lambda it: it.get(1, 0, HALF),
    "put": lambda it: it.put(HALF, 0, b"x"),
    "put at": lambda it: it.put(1, HALF, b"x"),
}


@pytest.mark.parametrize("call", NOT_WHOLE)
def test_what_is_no_whole_number_is_a_type_error(
    connection: RawConnection, driver: LargeObjectDriver, call: str
) -> None:
    # Rounded either way, it would be an object that exists.
    for oid in (1, 2):
        driver.create(oid)
    with pytest.raises(TypeError):
        NOT_WHOLE[call](driver)
    assert not is_aborted(connection)
    assert driver.exists(1)
    assert driver.exists(2)


class Number:
    """An integer by its ``__index__`` alone, as those of numpy are to a driver."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value


def test_an_oid_is_whatever_is_an_integer(connection: RawConnection, driver: LargeObjectDriver) -> None:
    oid = driver.from_bytes(DATA)
    like_it = cast("Any", Number(oid))
    assert driver.exists(like_it)
    assert driver.get(like_it, 0, 3) == b"012"
    assert driver.size(like_it) == len(DATA)
    assert driver.open(like_it, READ).read(3) == b"012"
    assert driver.unlink(like_it)
    assert not driver.exists(like_it)
    assert driver.create(like_it) == oid
    assert driver.exists(cast("Any", True)) in {True, False}
    assert not is_aborted(connection)
