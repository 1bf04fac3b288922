"""The unfinished uploads of a schema: they go with it, and a clone gives up those that it has of another's."""

from pg_lo_storage.catalogue import unlinking, uploads
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.columns import ask

__all__ = ["end_uploads"]


def end_uploads(alias: str, schema: str, *, only_shared: bool = False, dry_run: bool = False) -> int:
    """End the uploads that have a row in a table of the schema's own; return how many there are.

    What another schema has, too, is not unlinked; ``only_shared`` ends the schema's part in these alone.
    """
    places = ask(
        alias,
        "select quote_ident(nspname::text) from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
        " where c.relname = 'pg_lo_storage_upload'::name and nspname = %s::text::name",
        schema,
    )
    count, database = 0, DatabaseDriver(alias)
    for (place,) in places:
        loids = unlinking.uploads_in(database, place, only_shared=only_shared)
        count += len(loids) if dry_run else uploads.discard(database, loids, place)
    return count
