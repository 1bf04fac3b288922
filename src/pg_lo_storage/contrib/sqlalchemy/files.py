"""A mapped column whose values are files: what it holds, and how it is bound and loaded."""

from collections.abc import Iterable, Mapping
from inspect import iscoroutinefunction
from io import TextIOBase
from typing import Any, Final, Protocol, TypeAlias, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Dialect
from sqlalchemy.dialects.postgresql import OID
from sqlalchemy.orm import Mapper
from sqlalchemy.types import TypeDecorator, TypeEngine
from typing_extensions import Buffer, override

from pg_lo_storage.drivers.values import byte_view
from pg_lo_storage.transfer.content import Content

__all__ = ["MAPPED", "LargeObjectFile", "LargeObjectType"]

MAPPED: Final["WeakKeyDictionary[Mapper[Any], dict[str, Column[Any]]]"] = WeakKeyDictionary()
"""The classes that are mapped with columns of files, each with these by its attributes."""

_Bound: TypeAlias = "LargeObjectFile | int | None"

_UNSAVED: Final = (
    "this file was not saved yet: that is done when its row is flushed, not by a statement of your own. For a bulk"
    " insert or update save the content first, LargeObjectFile(oid=pg_lo_storage.save(session, content))"
)


class LargeObjectFile:
    """The file of a mapped row: content that is saved when the row is flushed, or a large object that there is.

    The content is bytes, a binary file, which is read from its position, or an iterable of bytes. What was saved is
    used by its oid: ``pg_lo_storage.open(session, row.data.oid)``. Two rows may name one file.

    Files are equal that have the same oid.

    :raises TypeError: the content is text, is awaited, or is none; there is both content and an ``oid``, or neither.
    """

    __module__ = "pg_lo_storage.contrib.sqlalchemy"

    def __init__(self, content: Content | None = None, *, oid: int | None = None) -> None:
        if (content is None) == (oid is None):
            raise TypeError("a file has content, or the oid of a large object")
        if content is not None and not _is_content(content):
            message = (
                f"a file's content is bytes, a binary file, or an iterable of bytes, not {content!r}; what is awaited"
                " is saved first, LargeObjectFile(oid=await pg_lo_storage.save(session, content))"
            )
            raise TypeError(message)
        self._content = content
        self._start = _position(content)
        self._was_read = False
        self._oid = oid

    @property
    def oid(self) -> int:
        """The oid of the large object.

        :raises ValueError: the content was not saved yet.
        """
        if self._oid is None:
            raise ValueError(_UNSAVED)
        return self._oid

    @property
    def is_saved(self) -> bool:
        """Whether there is a large object: after the flush, and no more after a rollback."""
        return self._oid is not None

    @override
    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, LargeObjectFile) and self._oid is not None and self._oid == other._oid

    @override
    def __hash__(self) -> int:
        return hash(LargeObjectFile)  # the oid, which files are compared by, comes and goes

    @override
    def __repr__(self) -> str:
        return f"LargeObjectFile(oid={self._oid})" if self.is_saved else f"LargeObjectFile({type(self._content)})"

    def to_save(self) -> Content:
        """Return the content from where it begins, also after a transaction in which it was saved was rolled back.

        :raises ValueError: it was read, and cannot be read again.
        """
        content = cast("Content", self._content)
        if self._was_read and hasattr(content, "read"):
            if self._start is None:
                raise ValueError("the file was read when it was saved before the rollback: assign one with new content")
            cast("Seekable", content).seek(self._start)
        elif self._was_read and iter(cast("Iterable[Buffer]", content)) is content:
            raise ValueError("the content was read when it was saved before the rollback: assign a new file")
        self._was_read = True
        return content

    def saved(self, oid: int | None) -> None:
        """Take note of the large object that the content was saved to, ``None`` where that was rolled back."""
        self._oid = oid


class LargeObjectType(TypeDecorator[LargeObjectFile]):
    """The type of a column of files, ``oid`` in the database: ``vacuumlo`` keeps what it names.

    A mapped attribute of this type takes a :class:`LargeObjectFile`, or what one can be made of::

        data: Mapped[LargeObjectFile | None] = mapped_column(LargeObjectType)
    """

    __module__ = "pg_lo_storage.contrib.sqlalchemy"

    impl: TypeEngine[int] | type[TypeEngine[int]] = OID
    cache_ok: bool | None = True

    @override
    def process_bind_param(self, value: _Bound, dialect: Dialect) -> int | None:
        return value.oid if isinstance(value, LargeObjectFile) else value

    @override
    def process_result_value(self, value: int | None, dialect: Dialect) -> LargeObjectFile | None:
        return None if value is None else LargeObjectFile(oid=value)

    @override
    def compare_values(self, x: object, y: object) -> bool:
        return bool(x == y)


class Seekable(Protocol):
    """A file whose position can be set."""

    def tell(self) -> int:
        """Return the position."""
        ...

    def seek(self, offset: int, /) -> int:
        """Set the position."""
        ...


def _is_content(content: object) -> bool:
    if isinstance(content, str | TextIOBase | Mapping):
        return False
    read: object = getattr(content, "read", None)
    if read is not None:
        return not iscoroutinefunction(read)
    if isinstance(content, list | tuple):
        return all(map(_is_bytes, cast("Iterable[object]", content)))
    return isinstance(content, Iterable) or _is_bytes(content)


def _is_bytes(content: object) -> bool:
    try:
        byte_view(cast("Buffer", content))
    except TypeError:
        return False
    return True


def _position(content: object) -> int | None:
    try:
        return cast("Seekable", content).tell()
    except (AttributeError, OSError, ValueError):
        return None
