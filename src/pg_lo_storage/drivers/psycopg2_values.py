"""How psycopg2 writes and reads the values of this package's statements, whatever its user has registered for them."""

import binascii
from collections.abc import Callable, Sequence
from typing import Final, Self

import psycopg2
from psycopg2 import extensions as ext
from typing_extensions import Buffer, override

__all__ = ["Cursor", "encoding_of", "quotable"]


class _Base64:
    """Bytes in base64: of psycopg2's hexadecimal digits the server has half as many again to read."""

    def __init__(self, data: Buffer) -> None:
        self._data = data

    def __conform__(self, _protocol: object) -> Self:
        return self

    def getquoted(self) -> bytes:
        return b"pg_catalog.decode('" + binascii.b2a_base64(self._data, newline=False) + b"', 'base64')"


def _unencoded(text: str) -> ext.QuotedString:
    return ext.QuotedString(text.encode())


_VOID: Final = ext.new_type((2278,), "VOID", lambda _value, _cursor: None)
_TYPES: Final = (ext.INTEGER, ext.LONGINTEGER, ext.BOOLEAN, psycopg2.ROWID, psycopg2.BINARY, _VOID)
_ADAPTERS: Final[dict[type, Callable[..., object]]] = {
    int: ext.Int,
    str: ext.QuotedString,
    bytes: _Base64,
    bytearray: _Base64,
    memoryview: _Base64,
}
_UNENCODED: Final[dict[type, Callable[..., object]]] = _ADAPTERS | {str: _unencoded}


class Cursor(ext.cursor):
    """A plain cursor that reads integers, oids, booleans, bytea and text as psycopg2 does by default."""

    def __init__(self, connection: ext.connection, name: str | None = None) -> None:
        super().__init__(connection, name)
        for each in _TYPES:
            ext.register_type(each, self)
        self._is_unencoded = _is_unencoded(connection)
        ext.register_type(ext.BYTES if self._is_unencoded else ext.UNICODE, self)

    @override
    def fetchall(self) -> list[tuple[object, ...]]:
        rows = super().fetchall()
        return [tuple(map(_decoded, row)) for row in rows] if self._is_unencoded else rows


def quotable(connection: ext.connection, params: Sequence[object]) -> list[object]:
    """Return the parameters, wrapped in adapters that nobody can replace; those of other types stay as they are."""
    adapters = _UNENCODED if _is_unencoded(connection) else _ADAPTERS
    return [adapters[type(value)](value) if type(value) in adapters else value for value in params]


def encoding_of(connection: ext.connection) -> tuple[str, str]:
    """Return the encoding of text that the server sends in binary, and what is done where it is wrong."""
    return ("utf-8", "replace") if _is_unencoded(connection) else (ext.encodings[connection.encoding], "strict")


def _is_unencoded(connection: ext.connection) -> bool:
    """Tell whether the server sends text in no known encoding (SQL_ASCII); psycopg2 reads only ASCII then."""
    return ext.encodings.get(connection.encoding) == "ascii"


def _decoded(value: object) -> object:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
