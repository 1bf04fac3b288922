"""The catalogues that other schemas of the database have: what one of them has is not unlinked.

Where a schema was copied with its rows, two catalogues have the same objects.
"""

from typing import Final

__all__ = ["IS_OPEN", "IS_OTHER", "IS_RELATED_TABLE", "NAME_LOCK", "OTHERS", "OTHERS_THAN", "is_twin"]

NAME_LOCK: Final = 0x706C6F74
"""The first key of the advisory locks on objects: any number, but always the same."""

_IS_TABLE: Final = "c.relkind = any('{r,p}'::pg_catalog.\"char\"[])"
# A stranger's table says nothing: its owner can neither be the role that unlinks, nor be taken for it.
_IS_RELATED: Final = (
    "(c.relowner = own.relowner or pg_has_role(c.relowner, 'member')"
    " or pg_has_role(c.relowner, current_user::name, 'member'))"
)
IS_RELATED_TABLE: Final = f"{_IS_TABLE} and {_IS_RELATED}"
"""SQL that tells whether table ``c`` may be of the same project as relation ``own``."""

_CATALOGUE: Final = "relname = 'pg_lo_storage_file'::name"

_HAS_OIDS: Final = (
    "exists (select from pg_attribute as a where a.attrelid = c.oid and a.attname = 'loid'::name"
    " and a.atttypid = 'oid'::regtype::oid and not a.attisdropped)"
)
IS_OTHER: Final = f"c.{_CATALOGUE} and coalesce(c.oid <> own.oid, true) and {IS_RELATED_TABLE} and {_HAS_OIDS}"
"""SQL that tells whether relation ``c`` is the catalogue of another schema than relation ``own``."""

_RELATIONS: Final = " from pg_class as c join pg_class as own on own.oid = "

OTHERS: Final = _RELATIONS + "'pg_lo_storage_file'::regclass::oid where " + IS_OTHER
"""The catalogues of other schemas than the session's own, as relation ``c``."""

OTHERS_THAN: Final = (
    _RELATIONS
    + "%s::text::regclass::oid where c.relname = own.relname and c.oid <> own.oid and "
    + f"{IS_RELATED_TABLE} and {_HAS_OIDS}"
)
"""Those of other schemas than the given catalogue, or than the given table of uploads."""

IS_OPEN: Final = (
    "(has_table_privilege(c.oid, 'select') and has_schema_privilege(c.relnamespace, 'usage')"
    " and not row_security_active(c.oid))"
)
"""SQL that tells whether the role sees all rows of relation ``c``, and runs nobody's code for it."""


def is_twin(catalogue: str) -> str:
    """Return SQL that tells whether table ``c``, of the same name, may name the same files as table ``own``.

    It may unless its schema has another catalogue than the ``catalogue``, which is SQL for an oid, or null.
    """
    return (
        f"{IS_RELATED_TABLE} and (c.relnamespace = own.relnamespace"
        f" or not exists (select from pg_class as k where k.{_CATALOGUE} and k.relnamespace = c.relnamespace"
        f" and coalesce(k.oid <> {catalogue}, true)))"
    )
