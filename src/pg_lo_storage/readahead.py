"""The read-ahead buffer of a file: what of an object is here already, and how much to ask for next."""

from typing import Final

from pg_lo_storage.drivers.values import BLOCK

__all__ = ["ReadAhead"]

# Read-ahead is BLOCK from the start of an object, so that a small one is read whole. A jump is often followed by
# a few bytes only (zip directories, PDF cross references): from there it doubles while reading is sequential.
_AHEAD_AFTER_SEEK: Final = 8 * 1024


class ReadAhead:
    """A position, and the bytes around it that were read."""

    def __init__(self) -> None:
        self.position: int = 0
        self._buffer = b""
        self._start = 0
        # Whether the buffer ends where the object ended when it was read.
        self._is_last = False
        self._ahead = BLOCK

    @property
    def buffered(self) -> int:
        """How many bytes can be taken without a query."""
        return self._start + len(self._buffer) - self.position if self._buffer else 0

    def take(self, size: int) -> bytes:
        """Return up to ``size`` buffered bytes."""
        start = self.position - self._start
        data = self._buffer[start : start + size] if size > 0 else b""
        self.position += len(data)
        return data

    def take_line(self, limit: int) -> bytes:
        """Return buffered bytes up to a line's end, at most ``limit`` where that is not negative."""
        start = self.position - self._start
        length = (self._buffer.find(b"\n", start) + 1 or len(self._buffer)) - start
        return self.take(length if limit < 0 else min(limit, length))

    def at_known_end(self) -> bool:
        """Tell, once, that the buffer is used up and was the last: asked again, the object may have grown."""
        if self._is_last and self.position == self._start + len(self._buffer):
            self.drop()
            return True
        return False

    def wanted(self, least: int) -> int:
        """Return how many bytes to ask the server for, ``least`` or more."""
        return max(least, self._ahead)

    def filled(self, data: bytes, size: int) -> bool:
        """Replace the buffer by what was read at the position when ``size`` bytes were wanted; False for nothing."""
        self._ahead = min(2 * size, BLOCK)
        self._buffer, self._start = data, self.position
        self._is_last = 0 < len(data) < size
        return bool(data)

    def seek(self, position: int) -> None:
        """Move, without a query; the buffer is kept where it holds the new position."""
        if not self._start <= position <= self._start + len(self._buffer):
            self.drop()
            self._ahead = _AHEAD_AFTER_SEEK if position else BLOCK
        self.position = position

    def moved(self, position: int) -> None:
        """Take note that what was read or written past the buffer ended there."""
        self.position = position

    def drop(self) -> None:
        """Forget what is buffered."""
        self._buffer = b""
        self._is_last = False
