"""Transactions that have written to rows which may name files, and have not ended yet.

Fields and triggers lock a file that a row comes to name. Other programs lock nothing: what they have inserted is not
seen before they commit. They do lock the table, until they end.
"""

import time
from collections.abc import Iterable
from typing import Final

from pg_lo_storage.databases.columns import ask
from pg_lo_storage.maintenance.sources import Sources

__all__ = ["SECONDS", "outlasting"]

SECONDS: float = 5.0
"""So long it is waited for transactions to end."""

_POLL: Final = 0.05

_WRITERS: Final = (
    "with recursive family (oid) as (select unnest(%s::oid[])"
    " union select inhrelid from pg_inherits join family on inhparent = family.oid)"
    " select distinct l.virtualtransaction, coalesce(l.pid, 0) from pg_locks as l join family on oid = l.relation"
    " where l.locktype = 'relation' and l.granted and coalesce(l.pid <> pg_backend_pid(), true)"
    " and l.database = (select oid from pg_database where datname = current_database())"
    " and l.mode = any('{RowExclusiveLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}')"
)


def outlasting(files: str, sources: Sources) -> str:
    """Wait for the transactions that have written to the sources' tables by now; return what to say of one that stays.

    Those that begin meanwhile are not waited for.
    """
    relations = {files: [source.relation for source in sources.here]}
    relations |= {alias: [source.relation for source in there] for alias, there in sources.elsewhere.items()}
    until = time.monotonic() + SECONDS
    for alias, tables in relations.items():
        writers = _writers(alias, tables)
        while writers:
            if time.monotonic() > until:
                pids = sorted({pid for _, pid in writers})
                return (
                    f"a transaction that is open on {alias!r} may have named it (process {', '.join(map(str, pids))})"
                )
            time.sleep(_POLL)
            writers &= _writers(alias, tables)
    return ""


def _writers(alias: str, relations: Iterable[int]) -> set[tuple[str, int]]:
    return {(str(transaction), int(pid)) for transaction, pid in ask(alias, _WRITERS, sorted(set(relations)))}
