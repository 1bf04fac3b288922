"""The SQL of the triggers: the files in ``sql/``, which an editor and a linter can read.

In a file the mark ``"@name@"`` stands for an expression, and ``/*@name@*/`` for a query or for statements: those of
``sql/parts/name.sql``, or a part that is made here, or else a value, which the caller fills in.
"""

import functools
import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from pg_lo_storage.databases.catalogues import IS_OPEN, IS_OTHER, is_twin
from pg_lo_storage.databases.columns_in_sql import COLLATES_LOOSELY, DEFAULT_OIDS, FINDING, READABLE, readable
from pg_lo_storage.databases.names_in_sql import FEW, FINDINGS, is_any_of, is_name, is_of, oid_in
from pg_lo_storage.drivers.queries import UNLINK
from pg_lo_storage.maintenance.figures import FILES_AND_BYTES

__all__ = ["fill", "functions", "script"]

_SQL: Final = files(__name__.rpartition(".")[0]) / "sql"
_MARK: Final = re.compile(r'"@(\w+)@"|/\*@(\w+)@\*/')
_COMMENT: Final = re.compile(r"\A(?:--.*\n)+")

# How many locks the statement takes, and for which objects.
_ROOMS: Final = {
    "room": ("(case when catalogue is null then 2 else 1 end) * cardinality(files)", "files"),
    "room_to_name": ("cardinality(loids)", "loids"),
    "room_to_lock": ("cardinality(loids)", "loids"),
    "room_to_unlink": ("cardinality(loids) + (case when catalogue is null then cardinality(held) else 0 end)", "loids"),
}
# Conditions as templates of format(), whose arguments are the column and values.
_NAMING: Final = {
    "few": str(FEW),
    "any": is_any_of("%s", "$1"),
    "one": is_of("%1$s", "%2$L", "%3$L", "%4$L"),
}
_PARTS: Final = {
    "readable": READABLE,
    "default_oids": DEFAULT_OIDS,
    "collates_loosely": COLLATES_LOOSELY,
    "finding": FINDING,
    # Queries as templates of format(), whose arguments are the table, the column and its collation.
    **{
        f"find_{kind}": query.format(table="%1$s", column="%2$I", collation="%3$s", oids="$1", condition="true", most=1)
        for kind, query in FINDINGS.items()
    },
    "valid": is_name("name"),
    "other": IS_OTHER,
    "open": IS_OPEN,
    "twin": is_twin("catalogue"),
    "unlink": UNLINK,
    # A template of format(), whose second argument is the catalogue.
    "statistics": FILES_AND_BYTES.replace("pg_lo_storage_file", "%2$s"),
    # The oid in the column that is format()'s third argument.
    "oid": oid_in('%3$I::text collate "C"'),
    # Whether values of column "a" of relation "r" can be compared as text, which only PostgreSQL's own code makes.
    "alike": readable("text", "varchar", "bpchar", "name", "oid", "int2", "int4", "int8", "uuid", "bool"),
}


def fill(template: str, parts: Mapping[str, str]) -> str:
    """Replace those marks of the template that ``parts`` has, in one pass."""
    return _MARK.sub(lambda mark: parts.get(mark[1] or mark[2], mark[0]), template)


@functools.cache
def functions() -> tuple[str, ...]:
    """Return the trigger function, last, after the functions it calls; the values are ``schema`` and ``guard``."""
    names = ("existing", "truncating", "settle", "same", "claim", "guard")
    return tuple(_whole(f"functions/{name}.sql") for name in names)


@functools.cache
def script(name: str) -> str:
    """Return one of the ``DO`` statements; the values are literals."""
    return _whole(f"scripts/{name}.sql")


def _whole(path: str) -> str:
    return fill(_read(_SQL / path), _parts())


@functools.cache
def _parts() -> dict[str, str]:
    parts = {file.name.removesuffix(".sql"): _read(file) for file in (_SQL / "parts").iterdir()}
    rooms = {name: fill(parts["room"], {"count": count, "files": of}) for name, (count, of) in _ROOMS.items()}
    return {**parts, **_PARTS, **rooms, "naming": fill(parts["naming"], _NAMING)}


def _read(file: Traversable) -> str:
    """Return the SQL of a file, without the comment that it begins with."""
    return _COMMENT.sub("", file.read_text(encoding="utf-8")).strip()
