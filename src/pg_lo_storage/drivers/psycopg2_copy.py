"""Rows by a binary COPY, in which psycopg2 gets bytes as they are.

https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.55.9.4
"""

import functools
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, LiteralString, cast

from pg_lo_storage.drivers.base import Sink
from pg_lo_storage.drivers.psycopg2_values import encoding_of
from pg_lo_storage.drivers.queries import Rows

if TYPE_CHECKING:
    from psycopg2 import extensions as ext

__all__ = ["CopiedRows", "rows_in", "with_settings"]

_HEADER: Final = len(b"PGCOPY\n\xff\r\n\0") + 4  # then the length of the header's extension
_FIELDS: Final = struct.Struct("!h")
_LENGTH: Final = struct.Struct("!i")


class CopiedRows:
    """The file that a binary COPY writes to; it hands the one field of each row to a sink.

    Each write is one row. The first begins with the format's header, the last is the format's trailer alone:
    https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._is_first = True
        self.count: int = 0

    def write(self, data: bytes) -> int:
        """Take a message."""
        row = memoryview(data)
        if self._is_first:
            self._is_first = False
            row = row[_after_header(row) :]
        if len(row) > _FIELDS.size:
            self.count += 1
            self._sink(row[_FIELDS.size + _LENGTH.size :])
        return len(data)


def rows_in(copied: memoryview, columns: Sequence[type[bytes | int | str]], connection: "ext.connection") -> Rows:
    """Return the rows of all that a COPY sent, whose fields are of these types: integer, text, bytea, or null."""
    rows: Rows = []
    encoding = encoding_of(connection)
    start = _after_header(copied)
    while _FIELDS.unpack_from(copied, start)[0] >= 0:
        start += _FIELDS.size
        values: list[object] = []
        for kind in columns:
            (length,) = _LENGTH.unpack_from(copied, start)
            start += _LENGTH.size
            if length < 0:
                values.append(None)
                continue
            field = copied[start : start + length]
            start += length
            if kind is int:
                values.append(int.from_bytes(field, "big", signed=True))
            else:
                values.append(str(field, *encoding) if kind is str else bytes(field))
        rows.append(tuple(values))
    return rows


def _after_header(copied: memoryview) -> int:
    (extension,) = _LENGTH.unpack_from(copied, _HEADER)
    return _HEADER + _LENGTH.size + cast("int", extension)


def with_settings(query: LiteralString, params: Sequence[object]) -> tuple[LiteralString, Sequence[object]]:
    """Return a query that is the same text for all numbers and texts among the parameters, and its parameters.

    A COPY has none of its own: ``pg_stat_statements`` would keep each as a statement apart. So they are sent before it,
    as settings that end with the transaction.
    """
    settings: list[object] = []
    others: list[object] = []
    is_setting: list[bool] = []
    for value in params:
        is_setting.append(type(value) in {int, str})
        if is_setting[-1]:
            settings.append(str(value))
        else:
            others.append(value)
    return _with_settings(query, tuple(is_setting)), [*settings, *others]


@functools.lru_cache(1_000)
def _with_settings(query: LiteralString, are_settings: tuple[bool, ...]) -> LiteralString:
    before: list[LiteralString] = []
    places: list[LiteralString] = []
    for n, is_setting in enumerate(are_settings):
        name: LiteralString = "'pg_lo_storage.param_" + "abcdefghijklmnopqrstuvwxyz"[n] + "'"
        if is_setting:
            before.append("pg_catalog.set_config(" + name + ", %s, true)")
        places.append("pg_catalog.current_setting(" + name + ")" if is_setting else "%s")
    placed: LiteralString = query.replace("%%", "%%%%") % tuple(places)
    return "select " + ", ".join(before) + "; " + placed if before else placed
