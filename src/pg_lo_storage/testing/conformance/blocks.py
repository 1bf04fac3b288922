"""Reading and writing many blocks: full, bounded, and with the connection free for others in between."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest
from typing_extensions import Buffer

from pg_lo_storage.aio.sql import AsyncSQLDriver
from pg_lo_storage.drivers.base import LargeObject, LargeObjectDriver
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.testing.conformance.descriptors import LARGE
from pg_lo_storage.testing.conformance.sessions import (
    ALL_BYTES,
    READ,
    READ_WRITE,
    D,
    KitBase,
    Session,
    content,
    opened,
    same,
)

__all__ = ["BlockTests"]


class BlockTests(KitBase[D]):
    """``LargeObject.chunks`` and ``LargeObject.write_all``."""

    @pytest.mark.parametrize("size", [1000, 1 << 18, 1 << 20, len(LARGE), 3 << 20])
    def test_chunks_are_full_but_the_last_and_none_is_empty(self, driver: LargeObjectDriver, size: int) -> None:
        descriptor = opened(driver, LARGE, READ)
        expected = [LARGE[start : start + size] for start in range(0, len(LARGE), size)]
        assert same(list(descriptor.chunks(size)), expected)
        assert list(descriptor.chunks(size)) == []

    @pytest.mark.parametrize("size", [1, 7, 256, 2500, 5000])
    def test_small_chunks_are_all_there_and_none_is_empty(self, driver: LargeObjectDriver, size: int) -> None:
        data = LARGE[:10_000]
        blocks = list(opened(driver, data, READ).chunks(size))
        assert blocks == [data[start : start + size] for start in range(0, len(data), size)]
        assert {type(block) for block in blocks} == {bytes}

    def test_an_empty_object_has_no_chunks(self, driver: LargeObjectDriver) -> None:
        assert list(opened(driver, b"").chunks(100)) == []

    def test_chunks_begin_at_the_position(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, ALL_BYTES)
        descriptor.seek(6)
        assert list(descriptor.chunks(200)) == [ALL_BYTES[6:206], ALL_BYTES[206:]]

    def test_chunks_end_after_as_many_blocks_as_asked_for(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, ALL_BYTES)
        assert list(descriptor.chunks(100, 0)) == []
        assert list(descriptor.chunks(100, 2)) == [ALL_BYTES[:100], ALL_BYTES[100:200]]
        assert descriptor.tell() == 200
        assert list(descriptor.chunks(100, 20)) == [ALL_BYTES[200:]]

    def test_many_small_chunks_end_after_as_many_as_asked_for(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, LARGE[:10_000], READ)
        blocks = list(descriptor.chunks(1, 5000))
        assert len(blocks) == 5000
        assert same(b"".join(blocks), LARGE[:5000])
        assert descriptor.tell() == 5000

    def test_no_result_is_pending_while_chunks_are_suspended(self, session: Session[LargeObjectDriver]) -> None:
        driver = session.driver
        other = opened(driver, ALL_BYTES)
        uses: list[Callable[[], object]] = [
            driver.create,
            lambda: driver.put(other.oid, 0, b"\0"),
            lambda: content(driver, other.oid),
            lambda: other.seek(5),
            lambda: other.read(5),
            lambda: session.savepoint("in_between"),
            lambda: session.release("in_between"),
            lambda: driver.open(other.oid, READ).close(),
        ]
        use = itertools.cycle(uses)
        received: list[bytes] = []
        for block in opened(driver, LARGE, READ).chunks(100_000):
            next(use)()
            received.append(block)
        assert same(b"".join(received), LARGE)

    def test_two_iterations_can_take_turns(self, driver: LargeObjectDriver) -> None:
        data = LARGE, LARGE[::-1]
        blocks = [opened(driver, each, READ).chunks(300_000) for each in data]
        pairs = list(zip(*blocks, strict=True))
        assert same(tuple(b"".join(each) for each in zip(*pairs, strict=True)), data)

    def test_chunks_can_be_left_early(self, session: Session[LargeObjectDriver]) -> None:
        descriptor = opened(session.driver, LARGE)
        blocks = descriptor.chunks(1000)
        assert same(list(itertools.islice(blocks, 3)), [LARGE[start : start + 1000] for start in (0, 1000, 2000)])
        assert descriptor.seek(2_000_000) == 2_000_000
        assert descriptor.read(10) == LARGE[2_000_000:2_000_010]
        descriptor.close()
        session.rollback()
        assert not session.driver.in_transaction

    @pytest.mark.parametrize("size", [10, 300_000])
    def test_write_all_writes_each_block_in_turn_and_returns_the_bytes(
        self, driver: LargeObjectDriver, size: int
    ) -> None:
        data = LARGE[: size * 5 + 1]
        descriptor = opened(driver, b"")
        assert descriptor.write_all(_parts(data, size)) == descriptor.tell() == len(data)
        assert descriptor.write_all([]) == 0
        assert same(content(driver, descriptor.oid), data)

    def test_write_all_begins_at_the_position_and_takes_empty_blocks(self, driver: LargeObjectDriver) -> None:
        descriptor = opened(driver, b"0123456789")
        descriptor.seek(3)
        assert descriptor.write_all([b"a", b"", b"bc", b""]) == 3
        assert content(driver, descriptor.oid) == b"012abc6789"

    def test_write_all_takes_blocks_that_come_from_the_same_connection(
        self, session: Session[LargeObjectDriver]
    ) -> None:
        source, target = opened(session.driver, LARGE, READ), opened(session.driver, b"")

        def blocks() -> Iterator[Buffer]:
            for block in source.chunks(300_000):
                session.savepoint("in_between")
                assert session.driver.exists(target.oid)
                yield memoryview(block)
                session.release("in_between")

        assert target.write_all(blocks()) == len(LARGE)
        assert same(content(session.driver, target.oid), LARGE)

    def test_what_write_all_wrote_stays_where_its_blocks_fail(self, driver: LargeObjectDriver) -> None:
        target: LargeObject = opened(driver, b"")

        def blocks() -> Iterator[Buffer]:
            yield b"before"
            raise LookupError

        with pytest.raises(LookupError):
            target.write_all(blocks())
        assert content(driver, target.oid) == b"before"

    def test_parameters_are_of_the_types_that_are_promised(
        self, driver: LargeObjectDriver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parameters = _recorded(driver, monkeypatch)
        for kind in (bytes, bytearray, memoryview):
            descriptor = driver.open(driver.from_bytes(kind(ALL_BYTES)), READ_WRITE)
            driver.put(descriptor.oid, 1, kind(b"put"))
            descriptor.write(kind(b"written"))
            descriptor.write_all([kind(b"block")] * 2)
            descriptor.truncate(len(descriptor.read(10)))
        promised = {int, str, memoryview, type(None)}
        assert [value for value in parameters if type(value) not in promised] == []


def _recorded(driver: LargeObjectDriver, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the list of the parameters that the package passes from now on, if the driver is on one of its bases."""
    below: object = getattr(driver, "awaited", driver)
    parameters: list[object] = []

    def recording(execute: Callable[..., object]) -> Callable[..., object]:
        def recorded(query: object, params: Sequence[object] = (), *rest: object) -> object:
            parameters.extend(params)
            return execute(query, params, *rest)

        return recorded

    if isinstance(below, SQLDriver):
        monkeypatch.setattr(below, "execute_streaming", recording(below.execute_streaming))
        # Those of several statements go to execute(), one by one.
        monkeypatch.setattr(below, "execute_all", partial(SQLDriver.execute_all, below))
    if isinstance(below, SQLDriver | AsyncSQLDriver):
        monkeypatch.setattr(below, "execute", recording(below.execute))
    return parameters


def _parts(data: bytes, size: int) -> Iterator[Buffer]:
    """Yield ``data`` in blocks, of every kind in turn."""
    kinds: Iterator[type[bytes | bytearray | memoryview]] = itertools.cycle((bytes, bytearray, memoryview))
    return (next(kinds)(data[start : start + size]) for start in range(0, len(data), size))
