"""A stored file as it was when it was found, of which blocks are read while it is still that one."""

from dataclasses import dataclass
from typing import Final

from typing_extensions import Buffer

from pg_lo_storage import catalogue
from pg_lo_storage.drivers.values import BLOCK, as_bytes
from pg_lo_storage.exceptions import LargeObjectConflict
from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.storage.lookup import Located
from pg_lo_storage.storage.saving import SMALL

__all__ = ["Representation", "find", "find_with_start"]


# Bytes of a large file that are sent first: a backend that is new takes long for more.
_START: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Representation:
    """Where a file is, and its size in bytes."""

    located: Located
    size: int

    @property
    def alias(self) -> str:
        """The database it was found on."""
        return self.located.database.alias

    def read(self, wanted: range) -> list[bytes]:
        """Return these bytes in blocks, by one statement, in no transaction but the caller's.

        :raises LargeObjectNotFound: the file was deleted.
        :raises LargeObjectConflict: it is not the file that was found any more. Without a catalogue only a file that
            became shorter is noticed.
        """
        database, loid, entry = self.located
        blocks: list[bytes] = []

        def take(block: Buffer) -> None:
            if data := as_bytes(block):
                blocks.append(data)

        if entry is None:
            database.stream(loid, wanted.start, len(wanted), take, BLOCK)
        else:
            catalogue.stream_version(database, entry, wanted.start, len(wanted), take)
        if sum(map(len, blocks)) != len(wanted):
            message = f"large object {loid} was changed, replaced or deleted while it was served"
            raise LargeObjectConflict(message, oid=loid)
        return blocks


def find(storage: DbFileStorage, name: str) -> Representation:
    """Find a file, by one statement that reads none of its content.

    :raises LargeObjectNotFound: there is none.
    """
    return Representation(*storage.locate(name))


def find_with_start(storage: DbFileStorage, name: str) -> tuple[Representation, bytes]:
    """Find a file and read its first bytes: all of a small file; by one statement.

    :raises LargeObjectNotFound: there is none.
    """
    found = storage.find(name, SMALL, _START)
    return Representation(Located(found.database, found.loid, found.entry), found.size), found.start
