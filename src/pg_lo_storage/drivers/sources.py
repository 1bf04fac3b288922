"""Where the bytes of a large write come from: blocks, taken as many at a time as are sent without a wait."""

import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, cast

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.drivers.values import kept

__all__ = ["Source", "is_apart", "is_replaced", "parts_of"]

# Django's and tempfile's classes around a file, which read it and no more; a subclass elsewhere may do anything.
_AROUND: Final = {"django.core.files.base", "django.core.files.uploadedfile", "tempfile"}
# More files around one another than anybody has; one may stand around itself.
_MOST_AROUND: Final = 10
_READING: Final = {"chunks", "read", "readinto", "seek"}


class Source:
    """Blocks on their way to the server; ``room`` raises where so many bytes, after so many others, have none."""

    def __init__(self, blocks: Iterable[Buffer], room: Callable[[int, int], None]) -> None:
        self._blocks = iter(blocks)
        self._room = room
        self.taken: int = 0
        """The bytes so far."""
        self.is_at_end: bool = False
        self.failure: Exception | None = None
        """What ended the blocks. It waits here: what came before is to be written first."""

    def take(self, most: int) -> Iterator[bytes | memoryview]:
        """Yield what one statement takes each, ``most`` bytes and up to a block more; none of it changes any more."""
        end = self.taken + most
        while self.taken < end:
            try:
                block = kept(next(self._blocks))
                self._room(len(block), self.taken)
            except StopIteration:
                self.is_at_end = True
                return
            except Exception as error:  # noqa: BLE001 -- raised when all before it is written
                self.is_at_end, self.failure = True, error
                return
            self.taken += len(block)
            yield from parts_of(block)


def parts_of(block: bytes | memoryview) -> Iterable[bytes | memoryview]:
    """Return the block in parts of at most MAX_BLOCK bytes, none of them empty."""
    if 0 < len(block) <= MAX_BLOCK:
        return (block,)
    view = memoryview(block)
    return [view[start : start + MAX_BLOCK] for start in range(0, len(view), MAX_BLOCK)]


def is_apart(file: object) -> bool:
    """Tell whether a file is surely read without any connection: one in memory, or a regular one on a disk."""
    for _ in range(_MOST_AROUND):
        if is_replaced(file):
            return False
        if type(file).__module__ in _AROUND:
            file = getattr(file, "file", None)
        elif type(file) in {io.BufferedReader, io.BufferedRandom}:
            file = cast("io.BufferedReader", file).raw
        else:
            break
    if type(file) is io.FileIO:
        return not file.closed and stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    return type(file) is io.BytesIO


def is_replaced(file: object) -> bool:
    """Tell whether something of the instance's own reads it, and not its class."""
    own: Mapping[str, object] = getattr(file, "__dict__", {})
    # tempfile's wrapper keeps functions of its own there.
    return any(getattr(own[name], "__globals__", None) is not vars(tempfile) for name in _READING & own.keys())
