"""Descriptors that read, write or move wrongly."""

from collections.abc import Iterable, Iterator
from typing import cast

from typing_extensions import Buffer, override

from pg_lo_storage.drivers import AccessMode
from tests.testing.mutants.base import MutantObject, mutant

TWO_TO_32 = 1 << 32


class ShortReads(MutantObject):
    @override
    def read(self, size: int) -> bytes:
        return super().read(min(size, 64))


class ShortLargeReads(MutantObject):
    @override
    def read(self, size: int) -> bytes:
        return super().read(min(size, 1 << 20))


class MemoryviewFromRead(MutantObject):
    @override
    def read(self, size: int) -> bytes:
        return cast("bytes", memoryview(super().read(size)))


class ReadPadsWithZeros(MutantObject):
    @override
    def read(self, size: int) -> bytes:
        return super().read(size).ljust(min(size, 4096), b"\0")


class ReadFarBeyondTheEndOverflows(MutantObject):
    @override
    def read(self, size: int) -> bytes:
        if size > 1 << 20 and super().tell() > 1 << 31:
            raise OverflowError
        return super().read(size)


class SeekIgnoresWhence(MutantObject):
    @override
    def seek(self, offset: int, whence: int = 0) -> int:
        return super().seek(offset, 0 if whence == 1 and offset >= 0 else whence)


class SeekFromTheEndTurnsTheSign(MutantObject):
    @override
    def seek(self, offset: int, whence: int = 0) -> int:
        return super().seek(-abs(offset) if whence == 2 else offset, whence)


class SeekReturnsItsOffset(MutantObject):
    @override
    def seek(self, offset: int, whence: int = 0) -> int:
        super().seek(offset, whence)
        return offset


class SeekTakesAnyWhence(MutantObject):
    @override
    def seek(self, offset: int, whence: int = 0) -> int:
        return super().seek(offset, whence if whence in {0, 1, 2} else 0)


class SeekIn32Bits(MutantObject):
    @override
    def seek(self, offset: int, whence: int = 0) -> int:
        return super().seek(offset % TWO_TO_32 if whence == 0 else offset, whence)


class TellIn32Bits(MutantObject):
    @override
    def tell(self) -> int:
        return super().tell() % TWO_TO_32


class TruncateIn32Bits(MutantObject):
    @override
    def truncate(self, size: int) -> None:
        super().truncate(size % TWO_TO_32 if size <= 1 << 42 else size)


class WriteTruncatesTheBuffer(MutantObject):
    @override
    def write(self, data: Buffer) -> int:
        view = memoryview(data)
        if view.nbytes <= 1 << 20:
            return super().write(data)
        super().write(view.cast("B")[: 1 << 20])
        return view.nbytes


class WriteCountsElements(MutantObject):
    @override
    def write(self, data: Buffer) -> int:
        super().write(data)
        return len(memoryview(data))


class WriteIsShort(MutantObject):
    @override
    def write(self, data: Buffer) -> int:
        view = memoryview(data)
        return super().write(view if view.nbytes <= 1 << 20 else view.cast("B")[: 1 << 20])


class WriteTakesBytesOnly(MutantObject):
    @override
    def write(self, data: Buffer) -> int:
        if not isinstance(data, bytes):
            raise TypeError
        return super().write(data)


class WriteTakesText(MutantObject):
    @override
    def write(self, data: Buffer) -> int:
        return super().write(data.encode() if isinstance(data, str) else data)


class WriteAppends(MutantObject):
    @override
    def write(self, data: Buffer) -> int:
        super().seek(0, 2)
        return super().write(data)


class TruncateMovesThePosition(MutantObject):
    @override
    def truncate(self, size: int) -> None:
        super().truncate(size)
        super().seek(size)


class TruncateDoesNotExtend(MutantObject):
    @override
    def truncate(self, size: int) -> None:
        position = super().tell()
        end = super().seek(0, 2)
        super().seek(position)
        super().truncate(min(size, end) if size >= 0 else size)


class ChunksEndInAnEmptyBlock(MutantObject):
    @override
    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        yield from super().chunks(size, count)
        yield b""


class ChunksAreShort(MutantObject):
    @override
    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        for block in super().chunks(size, count):
            half = len(block) // 2
            yield from filter(None, (block[:half], block[half:]))


class ChunksIgnoreTheCount(MutantObject):
    @override
    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        return super().chunks(size)


class ChunksBeginAtTheStart(MutantObject):
    @override
    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        super().seek(0)
        yield from super().chunks(size, count)


class ChunksDropTheLastBlock(MutantObject):
    @override
    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        return (block for block in super().chunks(size, count) if len(block) == size)


class WriteAllForgetsTheLastBlock(MutantObject):
    @override
    def write_all(self, blocks: Iterable[Buffer]) -> int:
        *most, last = list(blocks) or [b""]
        return super().write_all(most) + memoryview(last).nbytes


class WriteAllStopsAtAnEmptyBlock(MutantObject):
    @override
    def write_all(self, blocks: Iterable[Buffer]) -> int:
        done = 0
        for block in blocks:
            if not memoryview(block).nbytes:
                break
            done += super().write(block)
        return done


class WriteAllCollectsFirst(MutantObject):
    @override
    def write_all(self, blocks: Iterable[Buffer]) -> int:
        return super().write_all(list(blocks))


class ReadDescriptorsWrite(MutantObject):
    @override
    def write(self, data: Buffer) -> int:
        if self.mode is AccessMode.READ:
            self.driver.inner.put(self.oid, super().tell(), data)
            return memoryview(data).nbytes
        return super().write(data)


class CloseDoesNothing(MutantObject):
    @override
    def close(self) -> None:
        pass


class CloseRaisesTheSecondTime(MutantObject):
    closed = False

    @override
    def close(self) -> None:
        if self.closed:
            raise ValueError
        self.closed = True
        super().close()


MUTANTS = [
    mutant("short reads", ShortReads, "test_read_returns_bytes_from_the_position"),
    mutant("short reads of much", ShortLargeReads, "test_read_takes_any_size"),
    mutant("memoryview instead of bytes from read", MemoryviewFromRead, "test_read_returns_bytes_from_the_position"),
    mutant("read pads with zeros", ReadPadsWithZeros, "test_read_returns_fewer_bytes_only_at_the_end"),
    mutant("read overflows", ReadFarBeyondTheEndOverflows, "test_far_beyond_the_end_there_is_nothing_to_read"),
    mutant("wrong seek base", SeekIgnoresWhence, "test_seek_moves_from_start_position_and_end"),
    mutant("seek beyond the end turns back", SeekFromTheEndTurnsTheSign, "test_seek_moves_from_start_position_and_end"),
    mutant("seek returns its offset", SeekReturnsItsOffset, "test_seek_moves_from_start_position_and_end"),
    mutant("seek takes any whence", SeekTakesAnyWhence, "test_seek_refuses_what_is_no_position"),
    mutant("seek in 32 bits", SeekIn32Bits, "test_positions_have_64_bits"),
    mutant("tell in 32 bits", TellIn32Bits, "test_positions_have_64_bits"),
    mutant("truncate in 32 bits", TruncateIn32Bits, "test_sizes_have_64_bits"),
    mutant("write truncates a large buffer", WriteTruncatesTheBuffer, "test_write_writes_all_of_a_large_buffer"),
    mutant("write returns a wrong count", WriteCountsElements, "test_write_takes_any_buffer_and_returns_its_bytes"),
    mutant("write is short", WriteIsShort, "test_write_writes_all_of_a_large_buffer"),
    mutant("write takes bytes only", WriteTakesBytesOnly, "test_write_takes_any_buffer_and_returns_its_bytes"),
    mutant("write takes text", WriteTakesText, "test_write_refuses_text"),
    mutant("write appends", WriteAppends, "test_write_replaces_what_is_there"),
    mutant("truncate moves the position", TruncateMovesThePosition, "test_truncate_leaves_the_position"),
    mutant("truncate does not extend", TruncateDoesNotExtend, "test_truncate_cuts_and_extends_with_zeros"),
    mutant("chunks end in an empty block", ChunksEndInAnEmptyBlock, "test_an_empty_object_has_no_chunks"),
    mutant("chunks are short", ChunksAreShort, "test_chunks_are_full_but_the_last"),
    mutant("chunks ignore the count", ChunksIgnoreTheCount, "test_chunks_end_after_as_many_blocks_as_asked_for"),
    mutant("chunks begin at the start", ChunksBeginAtTheStart, "test_chunks_begin_at_the_position"),
    mutant("chunks drop the last block", ChunksDropTheLastBlock, "test_small_chunks_are_all_there"),
    mutant("write_all forgets the last block", WriteAllForgetsTheLastBlock, "test_write_all_writes_each_block_in_turn"),
    mutant("write_all stops at an empty block", WriteAllStopsAtAnEmptyBlock, "test_write_all_begins_at_the_position"),
    mutant("write_all collects its blocks first", WriteAllCollectsFirst, "test_what_write_all_wrote_stays"),
    mutant("a descriptor for reading writes", ReadDescriptorsWrite, "test_a_descriptor_for_reading_does_not_write"),
    mutant("close does nothing", CloseDoesNothing, "test_a_closed_descriptor_is_stale"),
    mutant("close raises the second time", CloseRaisesTheSecondTime, "test_a_closed_descriptor_is_stale"),
]
