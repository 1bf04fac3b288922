"""A file's entry in the catalogue, and what is known of a file before it has one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self, cast

from django.apps import apps

from pg_lo_storage.names import MAX_OID, extension_of

__all__ = ["Entry", "Upload", "is_installed"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def is_installed() -> bool:
    """Tell whether the project has the catalogue."""
    return apps.is_installed("pg_lo_storage")


@dataclass(frozen=True, slots=True)
class Upload:
    """What is known of a file before it has an oid.

    ``extension`` has its dot; ``None`` is any. A name longer than the field's ``max_length`` loses its extension.
    """

    extension: str | None
    original_name: str
    content_type: str
    max_length: int | None = None

    @property
    def most_digits(self) -> int | None:
        """The most digits of an oid with which the name keeps its extension; ``None`` where any number will do."""
        if not self.extension or self.max_length is None:
            return None
        digits = self.max_length - len(self.extension)
        return None if digits >= len(str(MAX_OID)) else digits


@dataclass(frozen=True, slots=True)
class Entry:
    """A file's entry in the catalogue.

    ``size`` is in bytes, ``sha256`` in hexadecimal; both are ``None`` after a write in place. Every committed change
    gives the entry another ``version``.
    """

    __module__ = "pg_lo_storage.storage"

    loid: int
    extension: str | None
    original_name: str
    content_type: str
    size: int | None
    sha256: str | None
    created_at: datetime
    modified_at: datetime
    version: str

    def is_named(self, name: str) -> bool:
        """Tell whether the file has that name."""
        return name == f"{self.loid}{extension_of(name) if self.extension is None else self.extension}"

    @classmethod
    def of(cls, row: tuple[object, ...]) -> Self:
        """Make an entry of a row that has the columns of :mod:`.finding`."""
        loid, extension, original_name, content_type, size, sha256, created, modified, version = row
        return cls(
            cast("int", loid),
            cast("str | None", extension),
            cast("str", original_name),
            cast("str", content_type),
            cast("int | None", size),
            cast("str | None", sha256),
            _EPOCH + timedelta(microseconds=cast("int", created)),
            _EPOCH + timedelta(microseconds=cast("int", modified)),
            cast("str", version),
        )
