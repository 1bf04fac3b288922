"""How content becomes a large object: one statement where it is small, a transaction of its own where it is not."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Final

from django.db import transaction
from typing_extensions import Buffer

from pg_lo_storage import catalogue
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.drivers import AccessMode
from pg_lo_storage.drivers.base import MAX_BLOCK
from pg_lo_storage.drivers.values import BLOCK, byte_view

__all__ = ["SMALL", "in_blocks", "save", "save_catalogued"]

SMALL: Final = BLOCK
"""Up to so many bytes are saved, and served, by one statement."""


def save(database: DatabaseDriver, blocks: Iterator[bytes]) -> int:
    """Make an object of the blocks and return its oid."""
    first, second = next(blocks, b""), next(blocks, None)
    if second is None:
        return database.from_bytes(first)
    with transaction.atomic(using=database.alias):
        return _save_large(database, itertools.chain((first, second), blocks))


def save_catalogued(database: DatabaseDriver, blocks: Iterator[bytes], upload: catalogue.Upload) -> tuple[int, str]:
    """Make an object of the blocks, with its entry; return the oid and the extension that the entry has."""
    digest = hashlib.sha256()
    size = 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for block in blocks:
            digest.update(block)
            size += len(block)
            yield block

    counting = counted()
    first, second = next(counting, b""), next(counting, None)
    if second is None:
        return catalogue.save(database, upload, first, digest.hexdigest())
    with transaction.atomic(using=database.alias):
        loid = _save_large(database, itertools.chain((first, second), counting))
        return loid, catalogue.add(database, loid, upload, size=size, sha256=digest.hexdigest())


def _save_large(database: DatabaseDriver, blocks: Iterable[bytes]) -> int:
    loid = database.create()
    large_object = database.open(loid, AccessMode.WRITE)
    large_object.write_all(blocks)
    large_object.close()
    return loid


def in_blocks(chunks: Iterable[Buffer | str]) -> Iterator[bytes]:
    """Yield the same bytes in one block of SMALL, then blocks of MAX_BLOCK; the last is shorter."""
    block, size = bytearray(), SMALL
    for chunk in chunks:
        view = byte_view(chunk.encode() if isinstance(chunk, str) else chunk)
        while len(block) + len(view) >= size:
            room = size - len(block)
            yield bytes(block) + bytes(view[:room]) if block else bytes(view[:room])
            block, view, size = bytearray(), view[room:], MAX_BLOCK
        block += view
    if block:
        yield bytes(block)
