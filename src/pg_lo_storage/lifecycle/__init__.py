"""How files follow the rows that name them: what is replaced, cleared or deleted goes in the row's transaction."""

from pg_lo_storage.lifecycle.deletions import delete_in_batches

__all__ = ["delete_in_batches"]
