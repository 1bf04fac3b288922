"""What can be amiss between rows, catalogue and objects; docs/check.md explains each kind."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias, get_args

__all__ = ["KINDS", "Finding", "Kind", "escaped"]

Kind: TypeAlias = Literal[
    "dangling", "uncatalogued", "extension", "name", "orphan", "entry", "size", "digest", "role", "shared"
]
"""``dangling``: a row names an object that is not there. ``uncatalogued``: the object is there, without an entry.
``extension``: the entry has another one. ``name``: the name is no stored file's. ``orphan``: no row names the file.
``entry``: it has no object. ``size``, ``digest``: the object's are others. ``role``: the object is another role's.
``shared``: another schema has the object, too."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_CATALOGUE: Final = "pg_lo_storage_file"


@dataclass(frozen=True)
class Finding:
    """One fault: of a row's name, or of a file, whose row is then its entry in the catalogue."""

    kind: Kind
    alias: str
    """The database of the row."""
    name: str
    """What the row has, or how the catalogue names the file."""
    oid: int | None
    """``None`` where the name has none."""
    table: str = _CATALOGUE
    column: str = "loid"
    key: tuple[tuple[str, str], ...] = ()
    """The columns of the row's primary key, with their values as text; of a table without one the row's ``ctid``."""
    detail: str = ""
    since: datetime | None = None
    """When an orphan was last changed."""
    may_be_old: bool = False
    """Whether the row's file may be at the old place of a ``TransitionalStorage``, though that says otherwise now."""

    def as_record(self) -> dict[str, object]:
        """Return all of it, for JSON."""
        record: dict[str, object] = {"kind": self.kind, "database": self.alias, "table": self.table}
        record |= {"column": self.column, "key": dict(self.key), "name": self.name, "oid": self.oid}
        return record | {"detail": self.detail}

    def __str__(self) -> str:
        key = ", ".join(f"{column}={value}" for column, value in self.key)
        where = f"{self.alias}: {self.table}.{self.column} of {key}"
        return escaped(f"{self.kind}: {where}: {self.name!r}{f' {self.detail}' if self.detail else ''}")


def escaped(text: str) -> str:
    """Return a text in one line, whose control characters a terminal does not obey: as in Python's literals."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
