"""The bytes of a ``BinaryField`` as files that move: each row has one, in the place of a name."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.core.files.base import ContentFile
from django.db import models
from django.db.models import Q, Value
from typing_extensions import override

from pg_lo_storage.content_types import content_type_of
from pg_lo_storage.databases.file_fields import rows_of
from pg_lo_storage.maintenance.move_places import Hashed, Original, Place
from pg_lo_storage.maintenance.moves import BATCH, FileMove, key_in, keys_of

if TYPE_CHECKING:
    from django.core.files import File

__all__ = ["BinaryColumn", "BinaryMove"]


@dataclass
class BinaryColumn(Place):
    """A column of bytes, of rows on ``using``; a row's key stands for the name of its file.

    A value is in memory as a whole, as Django reads it.
    """

    content: "models.Field[Any, Any]"
    filename: "models.Field[Any, Any] | None"
    using: str

    def __post_init__(self) -> None:
        self.keys: dict[str, object] = {}

    @override
    def has(self, name: str) -> bool:
        return self._value(name, self.content) is not None

    @override
    def size(self, name: str) -> int:
        return len(cast("bytes", self._value(name, self.content) or b""))

    @override
    def open(self, name: str) -> "File[bytes]":
        return ContentFile(bytes(cast("bytes", self._value(name, self.content))), name)

    @override
    def about(self, name: str, file: "File[bytes]") -> Original:
        original = "" if self.filename is None else str(self._value(name, self.filename) or "")
        return Original(original, content_type_of(original) if original else None)

    @override
    def save(self, content: Hashed, original: Original, wanted: Callable[[], str], max_length: int | None) -> str:
        raise NotImplementedError

    def _value(self, name: str, field: "models.Field[Any, Any]") -> object:
        rows = rows_of(self.content.model, self.using).filter(pk=self.keys[name])
        return rows.values_list(field.name, flat=True).first()


@dataclass
class BinaryMove(FileMove):
    """A move of a column's bytes into the files of ``field``, of rows that have the one and not yet the other."""

    @property
    def _column(self) -> BinaryColumn:
        return cast("BinaryColumn", self.source)

    @property
    @override
    def _rows(self) -> "models.QuerySet[models.Model]":
        content = self._column.content
        rows = rows_of(self.model, self.using).filter(self._is_empty, **self.where)
        rows = rows.exclude(**{f"{content.name}__isnull": True})
        return rows if content.null else rows.exclude(**{content.name: b""})

    @property
    def _is_empty(self) -> Q:
        return Q(**{f"{self.field.name}__isnull": True}) | Q(**{self.field.name: ""})

    @override
    def _pages(self) -> "Iterator[list[tuple[object, str]]]":
        page = self._rows.order_by("pk").values_list(*keys_of(self.model)).distinct()
        found = list(page[:BATCH])
        while found:
            self._column.keys = {f"{self._column.content.name} of {key}": key for key in map(key_in, found)}
            yield [(key, name) for name, key in self._column.keys.items()]
            found = list(page.filter(pk__gt=key_in(found[-1]))[:BATCH])

    @override
    def _there(self, by_name: "Collection[str]") -> set[str]:
        return set()

    @override
    def _keys_of(self, name: str, keys: "Collection[object]") -> "list[object]":
        return list(keys)

    @override
    def _is(self, name: str) -> Q:
        return self._is_empty

    @override
    def _with_the_name(self) -> dict[str, object]:
        content = self._column.content
        return {content.name: Value(None if content.null else b"", output_field=content)} if self.delete_source else {}
