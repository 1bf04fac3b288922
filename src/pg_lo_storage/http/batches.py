"""How much of a file is read at a time: much for a fast client, little for each of many slow ones."""

import time
from collections.abc import Iterable, Iterator
from typing import Final

from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.http.ranges import Piece

__all__ = ["in_batches"]

# A client that takes a batch within so many seconds is fast, and gets a larger one.
_FAST: Final = 0.25


def in_batches(pieces: Iterable[Piece], most: int) -> Iterator[Piece]:
    """Yield the pieces; a range in parts of BLOCK bytes, which grow up to ``most`` while the client is fast."""
    size = BLOCK
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        rest = piece
        while rest:
            asked = time.monotonic()
            yield rest[:size]
            rest = rest[size:]
            size = min(2 * size, most) if time.monotonic() - asked < _FAST else BLOCK
