"""Stores content as a large object: small content in one statement, large content in a transaction."""

import hashlib
import itertools
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final, LiteralString

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from typing_extensions import Buffer

from pg_lo_storage import catalogue
from pg_lo_storage.catalogue import uploads
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.atomic_blocks import atomic
from pg_lo_storage.drivers import AccessMode, bulk, queries
from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.digest import Digest
from pg_lo_storage.drivers.sources import is_apart
from pg_lo_storage.drivers.values import BLOCK, byte_view, kept

__all__ = ["PART", "SMALL", "begin_upload", "continue_upload", "in_blocks", "save", "save_catalogued"]

SMALL: Final = BLOCK
"""Up to so many bytes, one statement saves or serves a file."""

PART: Final = 2 * BLOCK
"""Bytes of a large file that are sent at a time: more would gain nothing and take memory."""

# The server does not compress rows up to about this size.
_NEVER_COMPRESSED: Final = 2000


def save(database: DatabaseDriver, blocks: Iterator[Buffer], source: object = None) -> int:
    """Make an object of the blocks, which come from a ``source``, and return its oid."""
    first, rest = _first_and_all(blocks)
    if rest is None:
        make = _make(first)
        return database.perform(queries.from_bytes(first, make), lambda: database.from_bytes(first))
    with atomic(database.alias), _compressed(database):
        return _save_large(database, rest, source)


def save_catalogued(
    database: DatabaseDriver, blocks: Iterator[Buffer], upload: catalogue.Upload, source: object = None
) -> tuple[int, str]:
    """Make an object of the blocks, and its entry; return the oid and the entry's extension; see :func:`save`."""
    first, rest = _first_and_all(blocks)
    if rest is None:
        return catalogue.save(database, upload, first, hashlib.sha256(first).hexdigest(), make=_make(first))
    digest = Digest()
    with atomic(database.alias):
        with _compressed(database):
            loid = _save_large(database, rest, source, digest.update)
        return loid, catalogue.add(database, loid, upload, size=digest.size, sha256=digest.hexdigest())


def begin_upload(
    database: DatabaseDriver,
    data: bytes | memoryview,
    expires: timedelta,
    announced: uploads.Announced = uploads.Announced(),  # noqa: B008 -- a tuple
) -> uploads.Unfinished:
    """Make an object of the first bytes of an upload; until it is a file, it expires."""
    return uploads.begin(database, data, expires, announced, make=_make(data))


def continue_upload(database: DatabaseDriver, loid: int, offset: int, data: bytes | memoryview) -> None:
    """Write the next bytes of an upload."""
    put = queries.put(loid, offset, data, is_fast=_compresses_fast())
    database.perform(put, lambda: database.put(loid, offset, data))


def _first_and_all(blocks: Iterator[Buffer]) -> tuple[bytes | memoryview, Iterator[Buffer] | None]:
    """Return the first block, and all blocks, or ``None`` where the first block is the whole of a small file."""
    first = kept(next(blocks, b""))
    second = next(blocks, None)
    if second is not None:
        return first, itertools.chain((first, second), blocks)
    return first, None if len(first) <= SMALL else iter((first,))


def _save_large(database: DatabaseDriver, blocks: Iterable[Buffer], source: object, sink: Sink | None = None) -> int:
    bytearray(queries.WARM_UP)  # as in the server: freed memory is then kept for the next block
    loid = database.create()
    # To read as well: reading warms the backend up.
    large_object = database.open(loid, AccessMode.READ_WRITE)
    bulk.write_through(large_object, blocks, sink, apart=is_apart(source))
    large_object.close()
    return loid


def in_blocks(chunks: Iterable[Buffer | str]) -> Iterator[Buffer]:
    """Yield the same bytes in blocks of at most PART bytes; each block takes a statement, so small chunks are joined.

    Large chunks are not copied. A block is valid until the next one is taken.
    """
    gathered = bytearray()
    for chunk in chunks:
        view = byte_view(chunk.encode() if isinstance(chunk, str) else chunk)
        if len(view) < BLOCK:
            gathered += view
            if len(gathered) < PART:
                continue
            view = memoryview(bytes(gathered))
            gathered = bytearray()
        elif gathered:
            yield bytes(gathered)
            gathered = bytearray()
        for start in range(0, len(view), PART):
            yield view[start : start + PART]
    if gathered:
        yield bytes(gathered)


@contextmanager
def _compressed(database: DatabaseDriver) -> Generator[None]:
    if not _compresses_fast():
        yield
        return
    before = database.perform(queries.compress_fast())
    yield
    # Where the block fails, the rollback restores the setting.
    database.perform(queries.compress_by(before))


def _make(data: bytes | memoryview) -> LiteralString:
    is_fast = len(data) > _NEVER_COMPRESSED and _compresses_fast()
    return queries.MAKE_FAST if is_fast else queries.MAKE


def _compresses_fast() -> bool:
    method: object = getattr(settings, "PG_LO_STORAGE_TOAST_COMPRESSION", "lz4")
    if method not in {"lz4", None}:
        message = (
            f"PG_LO_STORAGE_TOAST_COMPRESSION is {method!r}: set it to 'lz4', for lz4 where the server has it, or to"
            " None, for what default_toast_compression says"
        )
        raise ImproperlyConfigured(message)
    return method is not None
