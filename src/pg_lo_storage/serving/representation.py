"""A stored file as it was when it was found, of which blocks are read while it is still that one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pg_lo_storage import catalogue
from pg_lo_storage.exceptions import LargeObjectConflict
from pg_lo_storage.saving import SMALL
from pg_lo_storage.storage import DbFileStorage

if TYPE_CHECKING:
    from pg_lo_storage.storage import Located

__all__ = ["Representation", "find", "find_with_start"]


@dataclass(frozen=True, slots=True)
class Representation:
    """Where a file is, and its size in bytes."""

    located: "Located"
    size: int

    @property
    def alias(self) -> str:
        """The database it was found on."""
        return self.located.database.alias

    def read(self, wanted: range) -> bytes:
        """Return these bytes, by one statement, in no transaction but the caller's.

        :raises LargeObjectNotFound: the file was deleted.
        :raises LargeObjectConflict: it is not the file that was found any more. Without a catalogue only a file that
            became shorter is noticed.
        """
        database, loid, entry = self.located
        if entry is None:
            block: bytes | None = database.get(loid, wanted.start, len(wanted))
        else:
            block = catalogue.read_version(database, entry, wanted.start, len(wanted))
        if block is None or len(block) != len(wanted):
            message = f"large object {loid} was changed, replaced or deleted while it was served"
            raise LargeObjectConflict(message, oid=loid)
        return block


def find(storage: DbFileStorage, name: str) -> Representation:
    """Find a file, by one statement that reads none of its content.

    :raises LargeObjectNotFound: there is none.
    """
    return Representation(*storage.locate(name))


def find_with_start(storage: DbFileStorage, name: str) -> tuple[Representation, bytes]:
    """Find a file and read its first bytes: all of a small file, by one statement; else two at most.

    :raises LargeObjectNotFound: there is none.
    """
    # One byte more than is needed tells a small file from the start of a larger one.
    located, start = storage.read_block(name, SMALL + 1)
    if len(start) <= SMALL:
        return Representation(located, len(start)), start
    if located.entry is not None and located.entry.size is not None:
        size = located.entry.size
    elif located.entry is None:
        size = located.database.size(located.loid)
    else:
        entry = located.entry
        located, size = storage.locate(name)
        if located.entry != entry:
            return Representation(located, size), b""
    return Representation(located, size), start[:size]
