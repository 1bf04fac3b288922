"""A driver that encrypts: the server is given no byte of a file, and a range is read without the rest.

It stands between the package and the driver that a connection has. With Django::

    PG_LO_STORAGE_DRIVER = "lo_encrypted.EncryptingDriver"  # and LARGE_OBJECT_KEY in the environment

An object is stored in blocks, each sealed by AES-256-GCM under a nonce of its own, together with the object's oid and
the block's number: a block that was changed, moved, or is another object's, is refused. The server does see how long
files are, and who can write there can cut one, or put back what it was before. A block that is changed in part is read
before: two sessions that change one file in place have to take turns, by a lock on a row. With the catalogue they do.
"""

import operator
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from typing_extensions import Buffer, override

from pg_lo_storage.drivers import MAX_SIZE, AccessMode, DriverWrapper, LargeObject, LargeObjectWrapper
from pg_lo_storage.exceptions import LargeObjectError, LargeObjectTooLarge

if TYPE_CHECKING:
    from pg_lo_storage.drivers import LargeObjectDriver

__all__ = ["EncryptingDriver"]

NONCE: Final = 12
SEALED: Final = 16 * 1024
"""Bytes of a whole block as it is stored: eight of the server's pages."""
PLAIN: Final = SEALED - NONCE - 16
"""Bytes of it that are the file's; the tag takes 16."""
MOST_ZEROS: Final = 1 << 20
"""The most bytes of zeros that are written because something is written beyond the end: they take space."""
AHEAD: Final = 64 * PLAIN
"""Bytes that are read at a time where many small blocks are asked for."""


class Sealing:
    """Seals and opens the blocks of one object."""

    def __init__(self, cipher: AESGCM, oid: int) -> None:
        self._cipher = cipher
        self._oid = oid

    def sealed(self, data: bytes | memoryview, number: int = 0) -> bytes:
        """Return data as it is stored from the block of that number on."""
        parts: list[bytes] = []
        for start in range(0, len(data), PLAIN):
            nonce = os.urandom(NONCE)
            block = data[start : start + PLAIN]
            parts += nonce, self._cipher.encrypt(nonce, block, self._place(number + start // PLAIN))
        return b"".join(parts)

    def opened(self, stored: bytes, number: int) -> bytes:
        """Return what is stored from the block of that number on.

        :raises LargeObjectError: it is not what was stored there, or the key is another.
        """
        parts: list[bytes] = []
        for start in range(0, len(stored), SEALED):
            block = stored[start : start + SEALED]
            place = number + start // SEALED
            try:
                parts.append(self._cipher.decrypt(block[:NONCE], block[NONCE:], self._place(place)))
            except InvalidTag as error:
                message = f"block {place} of large object {self._oid} was not sealed there with this key"
                raise LargeObjectError(message, oid=self._oid) from error
        return b"".join(parts)

    def _place(self, number: int) -> bytes:
        return b"%d/%d" % (self._oid, number)


class EncryptingDriver(DriverWrapper):
    """Seals what the driver that it wraps stores. The key is 32 bytes, by default ``LARGE_OBJECT_KEY`` in hex."""

    def __init__(self, connection: object, *, key: bytes | None = None) -> None:
        super().__init__(connection)
        self._cipher = AESGCM(bytes.fromhex(os.environ["LARGE_OBJECT_KEY"]) if key is None else key)

    @override
    def from_bytes(self, data: Buffer) -> int:
        plain = memoryview(data).tobytes()
        with self.atomic():
            oid = self.create()
            self.wrapped.put(oid, 0, Sealing(self._cipher, oid).sealed(plain))
        return oid

    @override
    def open(self, oid: int, mode: AccessMode) -> "EncryptedObject":
        # What is written has to be read before, where a block is written in part.
        opened = self.wrapped.open(oid, AccessMode.READ_WRITE if mode is AccessMode.WRITE else mode)
        return EncryptedObject(opened, Sealing(self._cipher, oid))

    @override
    def size(self, oid: int) -> int:
        return plain_size(super().size(oid))

    @override
    def get(self, oid: int, offset: int, size: int) -> bytes:
        number, skipped, start, length = place(checked(offset, oid), size)
        stored = self.wrapped.get(oid, start, length)
        return Sealing(self._cipher, oid).opened(stored, number)[skipped : skipped + size]

    @override
    def put(self, oid: int, offset: int, data: Buffer) -> None:
        checked(offset, oid)
        plain = memoryview(data)
        with self.atomic():
            descriptor = self.open(oid, AccessMode.READ_WRITE)
            descriptor.seek(offset)
            descriptor.write(plain)
            descriptor.close()


class EncryptedObject(LargeObjectWrapper):
    """A descriptor whose positions and sizes are the file's."""

    def __init__(self, wrapped: LargeObject, sealing: Sealing) -> None:
        super().__init__(wrapped)
        self._sealing = sealing
        self._position = 0

    @override
    def read(self, size: int) -> bytes:
        data = self._read(self._position, size)
        self._position += len(data)
        return data

    @override
    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        left = MAX_SIZE if count is None else size * count
        step = size * max(1, AHEAD // max(1, size))
        while data := self.read(min(step, left)):
            left -= len(data)
            for start in range(0, len(data), size):
                yield data[start : start + size]

    @override
    def write(self, data: Buffer) -> int:
        plain = memoryview(data).tobytes()
        self.wrapped.write(b"")  # raises where one may not write
        if not plain:
            return 0
        checked(self._position + len(plain), self.oid)
        self._write(self._position, plain)
        self._position += len(plain)
        return len(plain)

    @override
    def seek(self, offset: int, whence: int = 0) -> int:
        if whence not in {0, 1, 2}:
            message = f"whence value {whence} unsupported"
            raise ValueError(message)
        base = self._size() if whence == 2 else self.tell() * whence
        self._position = checked(base + operator.index(offset), self.oid)
        return self._position

    @override
    def tell(self) -> int:
        self.wrapped.tell()  # raises where it is stale
        return self._position

    @override
    def truncate(self, size: int) -> None:
        self.wrapped.write(b"")
        checked(size, self.oid)
        if size >= self._size():
            self._write(size, b"")
            return
        number, rest = divmod(size, PLAIN)
        self._store(number, self._read(number * PLAIN, rest))
        self.wrapped.truncate(stored_size(size))

    def _size(self) -> int:
        return plain_size(self.wrapped.seek(0, os.SEEK_END))

    def _read(self, offset: int, size: int) -> bytes:
        number, skipped, start, length = place(offset, size)
        self.wrapped.seek(start)
        return self._sealing.opened(self.wrapped.read(length), number)[skipped : skipped + size]

    def _write(self, offset: int, plain: bytes) -> None:
        """Write, with zeros before it from the end on, and with what else is in its first and its last block."""
        gap = max(0, offset - self._size())
        if gap > MOST_ZEROS or stored_size(offset + len(plain)) > MAX_SIZE:
            message = f"large object {self.oid} is encrypted: it cannot be extended by {gap} bytes of zeros at once"
            raise LargeObjectTooLarge(message, oid=self.oid)
        number, skipped = divmod(offset - gap, PLAIN)
        end = offset + len(plain)
        before = self._read(number * PLAIN, skipped)
        after = self._read(end, -end % PLAIN)
        self._store(number, before + bytes(gap) + plain + after)

    def _store(self, number: int, plain: bytes) -> None:
        self.wrapped.seek(number * SEALED)
        self.wrapped.write(self._sealing.sealed(plain, number))


def place(offset: int, size: int) -> tuple[int, int, int, int]:
    """Return where a range is: in which block, how far within, and the start and length of what is stored of it."""
    number, skipped = divmod(offset, PLAIN)
    blocks = -(-(skipped + size) // PLAIN) if size > 0 else size
    return number, skipped, min(number * SEALED, MAX_SIZE), blocks * SEALED


def plain_size(stored: int) -> int:
    """Return the size of a file that takes so many bytes."""
    blocks, rest = divmod(stored, SEALED)
    return blocks * PLAIN + max(0, rest - SEALED + PLAIN)


def stored_size(plain: int) -> int:
    """Return the bytes that a file of that size takes."""
    blocks, rest = divmod(plain, PLAIN)
    return blocks * SEALED + (rest + SEALED - PLAIN if rest else 0)


def checked(position: int, oid: int) -> int:
    """Return the position.

    :raises ValueError: it is negative.
    :raises LargeObjectTooLarge: it is past :data:`MAX_SIZE`.
    """
    if position < 0:
        message = f"negative position {position}"
        raise ValueError(message)
    if position > MAX_SIZE:
        message = f"position {position} is beyond what large object {oid} can hold"
        raise LargeObjectTooLarge(message, oid=oid)
    return position


if TYPE_CHECKING:
    # A driver that does not fit the protocol is an error of the type checker, here.
    def _(driver: EncryptingDriver, descriptor: EncryptedObject) -> tuple[LargeObjectDriver, LargeObject]:
        return driver, descriptor
