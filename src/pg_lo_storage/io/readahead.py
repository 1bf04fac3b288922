"""The read-ahead buffer of a file: what of an object is here already, and how much to ask for next."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.drivers.values import BATCH, BLOCK

__all__ = ["Ahead", "ReadAhead"]

# Read-ahead is BLOCK from the start of an object, so that a small one is read whole. After a jump often only a few
# bytes are read (zip directories, PDF cross references): it starts small there, and grows while reading is sequential.
_AHEAD_AFTER_SEEK: Final = 8 * 1024
_GROWTH: Final = 4
# Blocks as large as the reader's own need not be cut; smaller than this they cost the server too many calls.
_SMALLEST_BLOCK: Final = 64 * 1024


class Ahead(NamedTuple):
    """How many blocks of how many bytes to ask the server for."""

    block: int
    number: int


class ReadAhead:
    """A position, and the blocks around it that were read."""

    position: int = 0
    _blocks: Sequence[bytes] = ()
    _block: int = BLOCK  # the size of all blocks but the last
    _start: int = 0
    _end: int = 0
    # Whether the buffer ends where the object ended when it was read.
    _is_last: bool = False
    _ahead: int = BLOCK

    @property
    def buffered(self) -> int:
        """How many bytes can be taken without a query."""
        return self._end - self.position if self._blocks else 0

    def take(self, size: int) -> bytes:
        """Return up to ``size`` buffered bytes, of one block."""
        if size <= 0 or not self._blocks or self.position == self._end:
            return b""
        index, start = divmod(self.position - self._start, self._block)
        data = self._blocks[index]
        if start or size < len(data):
            data = data[start : start + size]
        self.position += len(data)
        return data

    def take_line(self, limit: int) -> bytes:
        """Return buffered bytes up to a line's or a block's end, at most ``limit`` unless that is negative."""
        index, start = divmod(self.position - self._start, self._block)
        block = self._blocks[index]
        length = (block.find(b"\n", start) + 1 or len(block)) - start
        return self.take(length if limit < 0 else min(limit, length))

    def take_all(self) -> list[bytes]:
        """Return all buffered bytes, block by block."""
        parts: list[bytes] = []
        while self._blocks and self.position < self._end:
            parts.append(self.take(self._block))
        return parts

    @property
    def is_at_end(self) -> bool:
        """Whether the buffer is used up and ended where the object did."""
        return self._is_last and self.position == self._end

    def at_known_end(self) -> bool:
        """Return :attr:`is_at_end`, once: by the next call the object may have grown."""
        if not self.is_at_end:
            return False
        self.drop()
        return True

    def wanted(self, least: int) -> Ahead:
        """Return what to ask the server for, ``least`` bytes or more."""
        size = max(least, self._ahead)
        if size <= BLOCK:
            return Ahead(size, 1)
        block = least if _SMALLEST_BLOCK <= least <= MAX_BLOCK else BLOCK
        return Ahead(block, -(-size // block))

    def filled(self, blocks: list[bytes], ahead: Ahead) -> bool:
        """Replace the buffer by ``blocks``, read at the position for ``ahead``; return False if they are empty."""
        wanted, size = ahead.block * ahead.number, sum(map(len, blocks))
        self._ahead = min(_GROWTH * wanted, BATCH)
        self._blocks, self._block = blocks, ahead.block
        self._start, self._end = self.position, self.position + size
        self._is_last = 0 < size < wanted
        return bool(size)

    def filled_whole(self, content: bytes) -> None:
        """Make the buffer the whole object, which was read when it was opened."""
        self._blocks, self._block = [content], max(1, len(content))
        self._end, self._is_last = len(content), True

    def expect_sequence(self) -> None:
        """Take note that all will be read, block after block."""
        self._ahead = max(self._ahead, MAX_BLOCK)

    def seek(self, position: int) -> None:
        """Move, without a query; the buffer is kept where it holds the new position."""
        is_near = self._start <= position <= self._end
        self.position = position
        if not is_near:
            self.drop()
            self._ahead = _AHEAD_AFTER_SEEK if position else BLOCK

    def moved(self, position: int) -> None:
        """Move to where a read or a write without the buffer ended."""
        self.position = self._start = self._end = position

    def drop(self) -> None:
        """Forget what is buffered."""
        self._blocks = ()
        self._start = self._end = self.position
        self._is_last = False
