"""An open descriptor: what its mode allows, reading, writing and moving in all of its 64 bits."""

import io
from collections.abc import Callable

import pytest
from typing_extensions import Buffer

from pg_lo_storage.drivers.base import MAX_SIZE, AccessMode, LargeObject, LargeObjectDriver
from pg_lo_storage.exceptions import LargeObjectTooLarge
from pg_lo_storage.testing.conformance.objects import BUFFERS, FAR
from pg_lo_storage.testing.conformance.sessions import (
    ALL_BYTES,
    READ,
    READ_WRITE,
    WRITE,
    D,
    KitBase,
    content,
    no_buffer,
    opened,
    same,
)

__all__ = ["LARGE", "DescriptorTests"]

# More than any one call or batch of the drivers carries, and no two parts of it alike.
LARGE = b"".join(number.to_bytes(4, "big") for number in range(700_000))


class DescriptorTests(KitBase[D]):
    """The members of :class:`LargeObject`, but for ``chunks``, ``write_all`` and ``close``."""

    @pytest.mark.parametrize("mode", [READ, WRITE, READ_WRITE])
    def test_a_descriptor_is_opened_at_the_start_of_its_object(
        self, driver: LargeObjectDriver, mode: AccessMode
    ) -> None:
        oid = driver.from_bytes(b"content")
        descriptor = driver.open(oid, mode)
        assert descriptor.oid == oid
        assert descriptor.tell() == 0
        assert descriptor.seek(0, 2) == 7

    def test_a_mode_that_reads_reads(self, driver: LargeObjectDriver) -> None:
        oid = driver.from_bytes(b"content")
        assert driver.open(oid, READ).read(100) == b"content"
        assert driver.open(oid, READ_WRITE).read(100) == b"content"

    def test_a_mode_that_writes_writes(self, driver: LargeObjectDriver) -> None:
        oid = driver.from_bytes(b"content")
        assert driver.open(oid, WRITE).write(b"CON") == 3
        both = driver.open(oid, READ_WRITE)
        assert both.read(4) == b"CONt"
        assert both.write(b"ENT") == 3
        assert content(driver, oid) == b"CONtENT"

    def test_a_descriptor_for_reading_does_not_write(self, driver: LargeObjectDriver) -> None:
        descriptor = driver.open(driver.from_bytes(b"content"), READ)
        changes: list[Callable[[LargeObject], object]] = [lambda it: it.write(b"CON"), lambda it: it.truncate(3)]
        for change in changes:
            with pytest.raises(io.UnsupportedOperation):
                change(descriptor)
            assert content(driver, descriptor.oid) == b"content"

    @pytest.mark.parametrize(("offset", "whence"), [(-1, 0), (-1, 1), (-8, 2), (-(1 << 40), 2)])
    def test_a_move_before_the_start_is_refused_and_moves_nothing(
        self, driver: LargeObjectDriver, offset: int, whence: int
    ) -> None:
        descriptor = opened(driver, b"content")
        with pytest.raises(ValueError, match="negative"):
            descriptor.seek(offset, whence)
        assert descriptor.tell() == 0
        assert descriptor.read(100) == b"content"

    @pytest.mark.parametrize("mode", [AccessMode(0), AccessMode(7)])
    def test_a_mode_that_is_none_is_refused(self, driver: LargeObjectDriver, mode: AccessMode) -> None:
        oid = driver.from_bytes(b"content")
        with pytest.raises(ValueError, match="READ"):
            driver.open(oid, mode)
        assert driver.size(oid) == 7

    def test_read_returns_bytes_from_the_position(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, ALL_BYTES)
        first = descriptor.read(100)
        assert type(first) is bytes
        assert first == ALL_BYTES[:100]
        assert descriptor.read(100) == ALL_BYTES[100:200]
        assert descriptor.tell() == 200

    def test_read_returns_fewer_bytes_only_at_the_end(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, ALL_BYTES)
        descriptor.seek(200)
        assert descriptor.read(0) == b""
        assert descriptor.read(100) == ALL_BYTES[200:]
        assert descriptor.read(100) == b""
        assert descriptor.seek(1000) == 1000
        assert descriptor.read(100) == b""

    @pytest.mark.parametrize("position", [*FAR, MAX_SIZE])
    @pytest.mark.parametrize("mode", [READ, READ_WRITE])
    def test_far_beyond_the_end_there_is_nothing_to_read(
        self, driver: LargeObjectDriver, mode: AccessMode, position: int
    ) -> None:
        descriptor = opened(driver, b"content", mode)
        for size in (1, 1 << 19, 3 << 20, 1 << 40):
            assert descriptor.seek(position) == position
            assert descriptor.read(size) == b""
            assert descriptor.tell() == position
        for count in (1, 100, None):
            assert list(descriptor.chunks(100_000, count)) == []
        descriptor.seek(0)
        assert descriptor.read(100) == b"content"

    def test_an_empty_object_is_at_its_end(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, b"")
        assert descriptor.read(10) == b""
        assert descriptor.seek(0, 2) == 0

    @pytest.mark.parametrize("size", [300_000, 1 << 20, (1 << 20) + 1, len(LARGE), 1 << 29, 1 << 40])
    def test_read_takes_any_size(self, driver: LargeObjectDriver, size: int) -> None:
        descriptor = opened(driver, LARGE, READ)
        assert same(descriptor.read(size), LARGE[:size])
        assert descriptor.tell() == min(size, len(LARGE))

    @pytest.mark.parametrize("data", BUFFERS, ids=lambda data: type(data).__name__)
    def test_write_takes_any_buffer_and_returns_its_bytes(self, driver: LargeObjectDriver, data: Buffer) -> None:
        descriptor = opened(driver, b".", WRITE)
        descriptor.seek(1)
        assert descriptor.write(data) == len(bytes(data))
        assert descriptor.tell() == 1 + len(bytes(data))
        assert content(driver, descriptor.oid) == b"." + bytes(data)

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_write_writes_all_of_a_large_buffer(self, driver: LargeObjectDriver, kind: type[bytes]) -> None:
        descriptor = opened(driver, b"")
        assert descriptor.write(kind(LARGE)) == descriptor.tell() == len(LARGE)
        assert same(content(driver, descriptor.oid), LARGE)

    def test_write_refuses_text_and_the_transaction_stays_usable(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, b"content")
        with pytest.raises(TypeError):
            descriptor.write(no_buffer())
        assert content(driver, descriptor.oid) == b"content"

    def test_write_replaces_what_is_there_and_leaves_the_rest(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, b"0123456789")
        descriptor.seek(3)
        descriptor.write(b"abc")
        assert descriptor.read(2) == b"67"
        assert content(driver, descriptor.oid) == b"012abc6789"

    def test_write_beyond_the_end_leaves_zeros_before_it(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, b"abc")
        descriptor.seek(5000)
        descriptor.write(b"xyz")
        assert content(driver, descriptor.oid) == b"abc" + bytes(4997) + b"xyz"

    def test_seek_moves_from_start_position_and_end(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, ALL_BYTES)
        assert descriptor.seek(10) == descriptor.tell() == 10
        assert descriptor.seek(5, 1) == descriptor.tell() == 15
        assert descriptor.seek(-5, 1) == descriptor.tell() == 10
        assert descriptor.read(1) == ALL_BYTES[10:11]
        assert descriptor.seek(-6, 2) == descriptor.tell() == 250
        assert descriptor.read(10) == ALL_BYTES[250:]
        assert descriptor.seek(4, 2) == descriptor.tell() == 260
        assert descriptor.seek(0) == descriptor.tell() == 0

    @pytest.mark.parametrize(
        ("offset", "whence", "error"),
        [
            (-1, 0, ValueError),
            (0, 3, ValueError),
            (0, -1, ValueError),
            (MAX_SIZE + 1, 0, LargeObjectTooLarge),
            (1 << 70, 0, LargeObjectTooLarge),
        ],
    )
    def test_seek_refuses_what_is_no_position_and_the_descriptor_stays_usable(
        self, driver: LargeObjectDriver, offset: int, whence: int, error: type[Exception]
    ) -> None:
        descriptor = opened(driver, ALL_BYTES)
        with pytest.raises(error):
            descriptor.seek(offset, whence)
        assert descriptor.read(10) == ALL_BYTES[:10]

    @pytest.mark.parametrize("position", FAR)
    def test_positions_have_64_bits(self, driver: LargeObjectDriver, position: int) -> None:
        descriptor = opened(driver, b"start")
        assert descriptor.seek(position) == descriptor.tell() == position
        if not self.sparse:
            with pytest.raises(LargeObjectTooLarge):
                descriptor.write(b"xy")
            assert (descriptor.tell(), content(driver, descriptor.oid)) == (position, b"start")
            return
        assert descriptor.write(b"xy") == 2
        assert descriptor.tell() == descriptor.seek(0, 2) == driver.size(descriptor.oid) == position + 2
        assert descriptor.seek(-4, 1) == position - 2
        assert descriptor.read(10) == b"\0\0xy"
        assert descriptor.seek(0) == 0
        assert descriptor.read(7) == b"start\0\0"

    @pytest.mark.parametrize("size", FAR)
    def test_sizes_have_64_bits(self, driver: LargeObjectDriver, size: int) -> None:
        descriptor = opened(driver, b"start")
        if not self.sparse:
            with pytest.raises(LargeObjectTooLarge):
                descriptor.truncate(size)
            assert content(driver, descriptor.oid) == b"start"
            return
        descriptor.truncate(size)
        assert descriptor.seek(0, 2) == driver.size(descriptor.oid) == size
        assert driver.get(descriptor.oid, 0, 7) == b"start\0\0"

    def test_truncate_cuts_and_extends_with_zeros(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, b"0123456789")
        descriptor.truncate(4)
        assert content(driver, descriptor.oid) == b"0123"
        descriptor.truncate(8)
        assert content(driver, descriptor.oid) == b"0123\0\0\0\0"
        descriptor.truncate(5000)
        assert content(driver, descriptor.oid) == b"0123" + bytes(4996)
        descriptor.truncate(0)
        assert driver.size(descriptor.oid) == 0

    def test_truncate_leaves_the_position(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, b"0123456789")
        descriptor.seek(6)
        for size in (4, 8):
            descriptor.truncate(size)
            assert descriptor.tell() == 6
        descriptor.write(b"x")
        assert content(driver, descriptor.oid) == b"0123\0\0x\0"

    @pytest.mark.parametrize(
        ("size", "error"), [(-1, ValueError), (MAX_SIZE + 1, LargeObjectTooLarge), (1 << 70, LargeObjectTooLarge)]
    )
    def test_truncate_refuses_a_size_no_object_has_and_the_descriptor_stays_usable(
        self, driver: LargeObjectDriver, size: int, error: type[Exception]
    ) -> None:
        descriptor = opened(driver, b"content")
        with pytest.raises(error):
            descriptor.truncate(size)
        assert descriptor.read(100) == b"content"

    def test_descriptors_of_one_object_have_positions_of_their_own(self, driver: LargeObjectDriver) -> None:
        first = opened(driver, b"content")
        second = driver.open(first.oid, READ_WRITE)
        assert first.read(3) == b"con"
        assert second.read(4) == b"cont"
        assert first.read(2) == b"te"
        first.write(b"NT")
        assert second.read(10) == b"eNT"
