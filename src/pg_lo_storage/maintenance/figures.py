"""The SQL of figures on all files of a database, which the statistics and the view for monitoring have in common.

It needs no Django, and reads no content. As elsewhere it stands without schemas: pass it to
:func:`~pg_lo_storage.drivers.qualified.qualified`, or run it where the search path is ``pg_catalog``.
"""

from typing import Final

from pg_lo_storage.catalogued import FILES as _JOINED
from pg_lo_storage.catalogued import MEASURED

__all__ = ["FIGURES", "FILES", "FILES_AND_BYTES", "OBJECTS", "OBJECTS_AND_BYTES"]

FILES: Final = (
    "select f.loid, f.extension, f.original_name, f.content_type, f.sha256, f.created_at, f.modified_at,"
    f" coalesce(f.size, {MEASURED}) as size, m.lomowner{_JOINED}"
)
"""The catalogued files whose objects are there, each with its size, which is measured where its entry has none."""

OBJECTS: Final = (
    "select loid, null::text as extension, null::text as original_name, null::text as content_type,"  # noqa: S608 -- of constants
    " null::text as sha256, null::timestamptz as created_at, null::timestamptz as modified_at, size, lomowner"
    f" from (select m.oid as loid, m.lomowner, {MEASURED} as size from pg_largeobject_metadata as m) as measured"
    " where size is not null"
)
"""The same of all objects that the role may read, for a database without catalogue."""

_DEAD: Final = "pg_stat_get_dead_tuples(pages.oid)"
_LIVE: Final = "pg_stat_get_live_tuples(pages.oid)"
_RECENT: Final = "f.created_at > (statement_timestamp() - '30 days'::interval)"
FIGURES: Final = {
    "files": "count(*)",
    "bytes": "coalesce(sum(f.size), 0)::int8",
    "unmeasured": "count(*) filter (where f.size is null)",
    "undigested": "count(*) filter (where f.sha256 is null)",
    "oldest_undigested": "min(f.modified_at) filter (where f.sha256 is null)",
    "recent_files": f"count(*) filter (where {_RECENT})",
    "recent_bytes": f"coalesce(sum(f.size) filter (where {_RECENT}), 0)::int8",
    "objects": "(select count(*) from pg_largeobject_metadata)",
    "disk_bytes": "(select pg_total_relation_size(pages.oid) from pages)",
    "dead_share": (
        f"(select case when ({_LIVE} + {_DEAD}) > 0 then {_DEAD}::float8 / ({_LIVE} + {_DEAD})::float8 end from pages)"  # noqa: S608 -- of constants
    ),
}
"""SQL for each figure, by the name that it has as a column of the view, and in the statistics."""


def _all(files: str) -> str:
    columns = ", ".join(f"{sql} as {name}" for name, sql in FIGURES.items())
    return (
        f"with files as ({files}), pages as (select 'pg_catalog.pg_largeobject'::regclass::oid as oid)"  # noqa: S608 -- of constants
        f" select {columns} from files as f"
    )


FILES_AND_BYTES: Final = _all(FILES)
"""All figures of the catalogued files, in one row."""

OBJECTS_AND_BYTES: Final = _all(OBJECTS)
"""The same of a database without catalogue."""
