"""The example driver that encrypts keeps the contract of a driver, over each driver that is installed."""

import os
from collections.abc import Callable

import pytest

from example.drivers.lo_encrypted import MOST_ZEROS, PLAIN, SEALED, EncryptingDriver
from pg_lo_storage.drivers import AccessMode, get_driver
from pg_lo_storage.exceptions import LargeObjectError, LargeObjectTooLarge
from pg_lo_storage.testing import DriverConformance, OpenSession
from tests.fixtures.connections import Connect, RawConnection
from tests.testing.sessions import RawSession

KEY = bytes(range(32))


@pytest.mark.once
class TestEncryptingDriver(DriverConformance[EncryptingDriver]):
    sparse = False

    @pytest.fixture
    def open_session(self, connect: Connect) -> OpenSession[EncryptingDriver]:
        def open_session(*, autocommit: bool = False) -> RawSession[EncryptingDriver]:
            connection = connect(autocommit=autocommit)
            return RawSession(connection, EncryptingDriver(connection, key=KEY))

        return open_session


@pytest.fixture
def connection(connect: Connect) -> RawConnection:
    return connect()


@pytest.fixture
def driver(connection: RawConnection) -> EncryptingDriver:
    return EncryptingDriver(connection, key=KEY)


EDGES = [0, 1, PLAIN - 1, PLAIN, PLAIN + 1, 3 * PLAIN - 1, 3 * PLAIN, 3 * PLAIN + 1]


@pytest.mark.parametrize("size", EDGES)
def test_whatever_is_changed_the_file_is_as_a_file_would_be(driver: EncryptingDriver, size: int) -> None:
    expected = bytearray(os.urandom(size))
    oid = driver.from_bytes(expected)
    descriptor = driver.open(oid, AccessMode.READ_WRITE)
    for start in (*EDGES, size):
        for length in (1, PLAIN, PLAIN + 2):
            part = os.urandom(length)
            expected.extend(bytes(max(0, start - len(expected))))
            expected[start : start + length] = part
            descriptor.seek(start)
            assert descriptor.write(part) == length
            assert driver.size(oid) == len(expected)
            assert driver.get(oid, 0, 1 << 20) == expected
    for end in reversed(EDGES):
        del expected[end:]
        descriptor.truncate(end)
        assert driver.get(oid, 0, 1 << 20) == expected
        assert driver.size(oid) == end


def test_a_range_is_read_by_its_blocks_alone(driver: EncryptingDriver, connection: RawConnection) -> None:
    plain = os.urandom(5 * PLAIN)
    oid = driver.from_bytes(plain)
    get_driver(connection).put(oid, 0, bytes(SEALED))  # the first block is no block any more
    assert driver.get(oid, PLAIN + 5, PLAIN) == plain[PLAIN + 5 :][:PLAIN]
    with pytest.raises(LargeObjectError, match="block 0"):
        driver.get(oid, 0, 1)


TAMPERING: dict[str, Callable[[bytes, bytes], bytes]] = {
    "a changed bit": lambda stored, _other: bytes([stored[0] ^ 1]) + stored[1:],
    "a block moved": lambda stored, _other: stored[SEALED:] + stored[:SEALED],
    "another file's": lambda _stored, other: other,
    "zeros": lambda stored, _other: bytes(len(stored)),
}


@pytest.mark.parametrize("tamper", TAMPERING.values(), ids=TAMPERING)
def test_what_was_not_stored_there_is_refused(
    driver: EncryptingDriver, connection: RawConnection, tamper: Callable[[bytes, bytes], bytes]
) -> None:
    below = get_driver(connection)
    oid, other = driver.from_bytes(bytes(2 * PLAIN)), driver.from_bytes(bytes(2 * PLAIN))
    stored = below.get(oid, 0, 1 << 20)
    assert stored[:SEALED] != stored[SEALED:]
    below.put(oid, 0, tamper(stored, below.get(other, 0, 1 << 20)))
    with pytest.raises(LargeObjectError, match=rf"large object {oid}\b") as caught:
        driver.get(oid, 0, 10)
    assert caught.value.oid == oid
    assert caught.value.__cause__ is not None


def test_another_key_opens_nothing(driver: EncryptingDriver, connection: RawConnection) -> None:
    oid = driver.from_bytes(b"content")
    with pytest.raises(LargeObjectError, match="this key"):
        EncryptingDriver(connection, key=bytes(32)).get(oid, 0, 10)


def test_zeros_are_written_up_to_a_limit(driver: EncryptingDriver) -> None:
    descriptor = driver.open(driver.from_bytes(b"content"), AccessMode.READ_WRITE)
    descriptor.seek(7 + MOST_ZEROS + 1)
    with pytest.raises(LargeObjectTooLarge, match="encrypted"):
        descriptor.write(b"x")
    descriptor.seek(7 + MOST_ZEROS)
    assert descriptor.write(b"x") == 1
    descriptor.seek(0)
    assert descriptor.read(1 << 21) == b"content" + bytes(MOST_ZEROS) + b"x"
