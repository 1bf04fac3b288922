"""Whole objects: created, filled, measured, read and written in part, unlinked; in a transaction and in autocommit."""

import array
import ctypes
from collections.abc import Callable

import pytest
from typing_extensions import Buffer

from pg_lo_storage.drivers.base import MAX_SIZE, LargeObjectDriver
from pg_lo_storage.exceptions import LargeObjectError, LargeObjectExists, LargeObjectNotFound, LargeObjectTooLarge
from pg_lo_storage.names import MAX_OID
from pg_lo_storage.testing.conformance.sessions import (
    ALL_BYTES,
    READ,
    WRITE,
    D,
    KitBase,
    Session,
    Sessions,
    content,
    free_oid,
    no_buffer,
)

__all__ = ["BUFFERS", "FAR", "ObjectTests"]

GIGABYTE = 1 << 30
# Beyond what 31 and 32 bits hold, and the last position of all at which two bytes fit.
FAR = [2 * GIGABYTE - 1, 2 * GIGABYTE + 1, 4 * GIGABYTE + 1, MAX_SIZE - 2]

BUFFERS: list[Buffer] = [
    b"",
    ALL_BYTES,
    b"\\x00 '' \\000 %s",
    bytearray(ALL_BYTES),
    memoryview(ALL_BYTES),
    memoryview(ALL_BYTES)[3:200],
    memoryview(ALL_BYTES).cast("B", (16, 16)),
    array.array("H", range(1000)),
    array.array("d"),
    (ctypes.c_uint32 * 3)(1, 2, 3),
]

ON_MISSING: dict[str, Callable[[LargeObjectDriver, int], object]] = {
    "open to read": lambda driver, oid: driver.open(oid, READ),
    "open to write": lambda driver, oid: driver.open(oid, WRITE),
    "size": lambda driver, oid: driver.size(oid),
    "get": lambda driver, oid: driver.get(oid, 0, 10),
    "put": lambda driver, oid: driver.put(oid, 0, b"data"),
}


class ObjectTests(KitBase[D]):
    """The members of :class:`LargeObjectDriver`, but for ``open``."""

    @pytest.fixture(params=["autocommit", "transaction"])
    def either(self, request: pytest.FixtureRequest, sessions: Sessions) -> LargeObjectDriver:
        """A driver in autocommit, and one that is not."""
        return sessions.open(autocommit=request.param == "autocommit").driver

    def test_create_makes_an_empty_object_of_a_new_oid(self, either: LargeObjectDriver, sessions: Sessions) -> None:
        oids = [sessions.keep(either.create()) for _ in range(3)]
        assert len(set(oids)) == 3
        assert all(0 < oid <= MAX_OID for oid in oids)
        assert [content(either, oid) for oid in oids] == [b"", b"", b""]

    def test_create_takes_a_free_oid(self, either: LargeObjectDriver, sessions: Sessions) -> None:
        oid = sessions.keep(free_oid(either))
        assert either.create(oid) == oid
        assert content(either, oid) == b""

    def test_create_refuses_an_oid_that_is_taken(self, either: LargeObjectDriver, sessions: Sessions) -> None:
        oid = sessions.keep(either.from_bytes(b"taken"))
        with pytest.raises(LargeObjectExists) as caught:
            either.create(oid)
        assert caught.value.oid == oid
        assert content(either, oid) == b"taken"

    @pytest.mark.parametrize("oid", [-5, MAX_OID + 1, MAX_OID + 17000, 1 << 40])
    def test_create_refuses_what_is_no_oid(self, driver: LargeObjectDriver, oid: int) -> None:
        with pytest.raises((LargeObjectError, ValueError)):
            driver.create(oid)
        assert driver.exists(driver.create())

    @pytest.mark.parametrize("data", BUFFERS, ids=lambda data: type(data).__name__)
    def test_from_bytes_and_put_store_the_bytes_of_any_buffer(
        self, either: LargeObjectDriver, sessions: Sessions, data: Buffer
    ) -> None:
        oid = sessions.keep(either.from_bytes(data))
        assert content(either, oid) == bytes(data)
        either.put(oid, 10, data)
        assert either.get(oid, 10, len(bytes(data)) + 1) == bytes(data)

    def test_text_is_no_buffer(self, driver: LargeObjectDriver) -> None:
        oid = driver.from_bytes(b"content")
        with pytest.raises(TypeError):
            driver.from_bytes(no_buffer())
        with pytest.raises(TypeError):
            driver.put(oid, 0, no_buffer())
        assert content(driver, oid) == b"content"

    def test_exists_and_unlink_tell_whether_there_was_an_object(self, either: LargeObjectDriver) -> None:
        oid = either.from_bytes(b"content")
        assert either.exists(oid) is True
        assert either.unlink(oid) is True
        assert either.exists(oid) is False
        assert either.unlink(oid) is False

    def test_size_is_in_bytes(self, either: LargeObjectDriver, sessions: Sessions) -> None:
        sizes = [0, 1, 2047, 2048, 2049, 5000]
        assert [either.size(sessions.keep(either.from_bytes(bytes(size)))) for size in sizes] == sizes

    @pytest.mark.parametrize("offset", FAR)
    def test_a_sparse_object_is_as_large_as_its_last_byte_and_zero_where_nothing_was_written(
        self, either: LargeObjectDriver, sessions: Sessions, offset: int
    ) -> None:
        oid = sessions.keep(either.from_bytes(b"start"))
        if not self.sparse:
            with pytest.raises(LargeObjectTooLarge):
                either.put(oid, offset, b"xy")
            assert content(either, oid) == b"start"
            return
        either.put(oid, offset, b"xy")
        assert either.size(oid) == offset + 2
        assert either.get(oid, 0, 7) == b"start\0\0"
        assert either.get(oid, offset - 3, 10) == b"\0\0\0xy"

    def test_get_returns_the_part_asked_for_as_bytes(self, either: LargeObjectDriver, sessions: Sessions) -> None:
        oid = sessions.keep(either.from_bytes(ALL_BYTES * 20))
        assert either.get(oid, 0, 10) == ALL_BYTES[:10]
        assert either.get(oid, 2047, 3) == (ALL_BYTES * 9)[2047:2050]
        assert type(either.get(oid, 5, 10)) is bytes

    def test_get_returns_fewer_only_at_the_end(self, either: LargeObjectDriver, sessions: Sessions) -> None:
        oid = sessions.keep(either.from_bytes(b"0123456789"))
        assert either.get(oid, 8, 100) == b"89"
        assert either.get(oid, 10, 1) == b""
        assert either.get(oid, 0, 0) == b""
        assert [either.get(oid, position, 1 << 20) for position in (5 * GIGABYTE, *FAR, MAX_SIZE)] == [b""] * 6

    def test_put_writes_at_its_offset_and_leaves_the_rest(self, either: LargeObjectDriver, sessions: Sessions) -> None:
        oid = sessions.keep(either.from_bytes(b"0123456789"))
        either.put(oid, 3, b"abc")
        assert content(either, oid) == b"012abc6789"
        either.put(oid, 8, b"ABCD")
        assert content(either, oid) == b"012abc67ABCD"
        either.put(oid, 14, b"z")
        assert content(either, oid) == b"012abc67ABCD\0\0z"

    @pytest.mark.parametrize(
        ("offset", "error"),
        [(-1, ValueError), (MAX_SIZE + 1, LargeObjectTooLarge), (1 << 70, LargeObjectTooLarge)],
    )
    def test_a_position_no_object_has_is_refused_and_the_transaction_stays_usable(
        self, driver: LargeObjectDriver, offset: int, error: type[Exception]
    ) -> None:
        oid = driver.from_bytes(b"content")
        with pytest.raises(error):
            driver.get(oid, offset, 1)
        with pytest.raises(error):
            driver.put(oid, offset, b"x")
        assert content(driver, oid) == b"content"

    def test_put_refuses_what_would_end_beyond_the_limit(self, driver: LargeObjectDriver) -> None:
        oid = driver.from_bytes(b"content")
        with pytest.raises(LargeObjectTooLarge):
            driver.put(oid, MAX_SIZE - 1, b"xy")
        assert content(driver, oid) == b"content"

    @pytest.mark.parametrize("call", ON_MISSING.values(), ids=ON_MISSING)
    def test_a_missing_object_is_not_found_and_the_transaction_stays_usable(
        self, driver: LargeObjectDriver, call: Callable[[LargeObjectDriver, int], object]
    ) -> None:
        missing, other = free_oid(driver), driver.from_bytes(b"content")
        with pytest.raises(LargeObjectNotFound) as caught:
            call(driver, missing)
        assert caught.value.oid == missing
        assert driver.exists(missing) is False
        assert content(driver, other) == b"content"

    # Cut to 32 bits, these oids would be another object's.
    @pytest.mark.parametrize("distance", [None, 1 << 32, -(1 << 32), 1 << 40])
    def test_what_is_no_oid_names_no_object(self, driver: LargeObjectDriver, distance: int | None) -> None:
        other = driver.from_bytes(b"content")
        oid = 0 if distance is None else other + distance
        for call in ON_MISSING.values():
            with pytest.raises(LargeObjectNotFound):
                call(driver, oid)
        assert driver.exists(oid) is False
        assert driver.unlink(oid) is False
        assert content(driver, other) == b"content"

    def test_in_autocommit_nothing_is_left_of_what_was_refused(self, sessions: Sessions) -> None:
        session: Session[LargeObjectDriver] = sessions.open(autocommit=True)
        missing = free_oid(session.driver)
        with pytest.raises(LargeObjectNotFound):
            session.driver.put(missing, 0, b"data")
        assert not session.driver.in_transaction
        assert not session.driver.exists(missing)
