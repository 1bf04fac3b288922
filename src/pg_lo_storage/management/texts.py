"""How subcommands say numbers, sizes and files."""

from datetime import datetime
from typing import Final

from django.utils.timezone import is_aware, localtime

from pg_lo_storage.maintenance.charts import Bar
from pg_lo_storage.maintenance.files import KnownFile
from pg_lo_storage.maintenance.statistics import Group
from pg_lo_storage.maintenance.uses import Row

__all__ = ["bar_of", "count_of", "record_of", "size_of", "text_of", "time_of"]

_UNITS: Final = ("KB", "MB", "GB", "TB", "PB")


def size_of(size: int | None) -> str:
    """Return a size in bytes with a unit of 1024."""
    if size is None:
        return "unknown size"
    if size < 1024:
        return f"{size} bytes"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    return f"{size / 1024**power:,.1f} {_UNITS[power - 1]}"


def count_of(files: int) -> str:
    """Return so many files in words."""
    return "1 file" if files == 1 else f"{files:,} files"


def time_of(moment: datetime) -> str:
    """Return a time in the project's time zone."""
    return f"{localtime(moment) if is_aware(moment) else moment:%Y-%m-%d %H:%M}"


def bar_of(group: Group) -> Bar:
    """Return the bar of a group: as long as its bytes are many."""
    return Bar(group.label, group.bytes, f"{size_of(group.bytes)}, {count_of(group.files)}")


def text_of(row: Row) -> str:
    """Return a row in words."""
    user = "" if row.user is None else f" of {row.user}"
    return f"{row.table} {row.key or '?'} {row.column}{user}"


def record_of(alias: str, file: KnownFile, rows: list[Row]) -> dict[str, object]:
    """Return a file, with the rows that name it, for a line of JSON."""
    named = [{key: value for key, value in row._asdict().items() if key != "oid"} for row in rows]
    return {"database": alias, **file._asdict(), "rows": named}
