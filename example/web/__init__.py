"""Files in large objects without Django: FastAPI, Flask, and plain ASGI and WSGI.

All have this table of files; who may read a row is for the project to say.
"""

from typing import Final

__all__ = ["FACTS", "INSERT", "TABLE"]

TABLE: Final = """
    create table if not exists file (
        oid oid primary key, size int8 not null, sha256 text not null, name text not null,
        saved timestamptz not null default now()
    )
"""
INSERT: Final = "insert into file values (%s, %s, %s, %s)"
FACTS: Final = """
    select oid, size, name, sha256, saved as modified, true as written_once from file where oid = %s::int8
"""
