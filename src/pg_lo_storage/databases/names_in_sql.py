"""The rule of :func:`pg_lo_storage.names.parse_name` in SQL: the oid in a stored file's name.

Each function takes SQL for a text and returns SQL without schemas: pass it to
:func:`~pg_lo_storage.drivers.qualified.qualified`, or run it where the search path is ``pg_catalog``.
"""

from collections.abc import Collection, Sequence
from typing import Final

from pg_lo_storage.names import MAX_OID

__all__ = ["FEW", "FINDINGS", "OID", "digits_of", "is_any_of", "is_name", "is_of", "naming", "oid_in", "stem_of"]

OID: Final = "[1-9][0-9]{0,9}"
"""A regular expression for an oid; it also matches some numbers that are too large."""

FEW: Final = 20
"""Up to so many oids are looked for by an index, where the column has one; more in one pass over the table."""


FINDINGS: Final = {
    # For the order the server reads the index, whatever it expects to find there: one look for each oid that no row
    # names, and two more for others, in a table of any size. A text and chr(1) comes right after that text.
    "index": (
        "select lo_wanted.oid from unnest({oids}) as lo_wanted (oid) cross join lateral (values"
        " (lo_wanted.oid, lo_wanted.oid || chr(1)), (lo_wanted.oid || '.', lo_wanted.oid || '/'))"
        " as lo_names (first, after) cross join lateral (select from {table} where {column}::text ~>=~ lo_names.first"
        " and {column}::text ~<~ lo_names.after and {condition} order by {column}::text using ~<~ limit {most})"
        " as lo_rows where (select true from {table} where {column}::text ~>=~ lo_wanted.oid"
        " and {column}::text ~<~ (lo_wanted.oid || '/') order by {column}::text using ~<~ limit 1)"
    ),
    "oid": "select {column}::text from {table} where {column} = any({oids}::oid[]) and {condition}",
    "int8": "select {column}::text from {table} where {column} = any({oids}::int8[]) and {condition}",
    "pass": (
        "select split_part({column}::text{collation}, '.', 1) from {table}"
        " where split_part({column}::text{collation}, '.', 1) = any({oids}) and {condition}"
    ),
}
"""Queries for those of some oids that rows name, a row for each row, or for up to ``most`` of them: by an index for the
operators of varchar_pattern_ops, in columns of numbers, in one pass over the table. ``oids`` is an array of text."""


def stem_of(name: str) -> str:
    """Return SQL for the text before the first dot: in a stored name, the oid."""
    return f"split_part({name}, '.', 1)"


def digits_of(name: str) -> str:
    """Return SQL for the number that a text begins with, as text; empty where it begins with none."""
    return f"coalesce(substring({name}, '^[1-9][0-9]*'), '') collate pg_catalog.\"C\""


def oid_in(name: str) -> str:
    """Return SQL for the oid that a text refers to, whatever follows the dot; null where there is none."""
    # CASE, since otherwise the server might try the casts before the conditions.
    number = f"{stem_of(name)}::int8"
    return f"case when {stem_of(name)} ~ '^{OID}$' then case when {number} <= {MAX_OID} then {number}::oid end end"


def is_name(name: str) -> str:
    """Return SQL that is true where ``parse_name()`` returns an oid, and else false or null."""
    stem = stem_of(name)
    return (
        rf"case when {name} ~ '^{OID}(\.[^/\\\u0001-\u001f\u007f-\u009f]*)?$'"
        f" then {stem}::int8 <= {MAX_OID} and length({name}) - length({stem}) <= 101 end"
    )


def is_any_of(name: str, oids: str) -> str:
    """Return SQL that tells whether a text refers to one of the oids, which are an array of text."""
    return f"{stem_of(name)} = any({oids})"


def is_of(name: str, oid: str, after_dot: str, before: str) -> str:
    """Return SQL that tells whether a text refers to an oid, by an index where there is one.

    The values are texts: the oid, the oid and ``.``, the oid and ``/``, the character after ``.``.
    """
    # The operators of varchar_pattern_ops, which the fields' index has.
    return f"{name} = {oid} or {name} ~>=~ {after_dot} and {name} ~<~ {before}"


def naming(name: str, oids: Collection[int]) -> tuple[str, Sequence[object]]:
    """Return the condition that the text ``name`` names one of the objects, and the condition's parameters."""
    if len(oids) > FEW:
        return is_any_of(name, "%s::text[]"), [[str(oid) for oid in oids]]
    one = is_of(name, "%s::text", "%s::text", "%s::text")
    values = [text for oid in oids for text in (str(oid), f"{oid}.", f"{oid}/")]
    return " or ".join([one] * len(oids)), values
