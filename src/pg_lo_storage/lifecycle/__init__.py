"""How files follow the rows that name them: a file that no row names any more is unlinked in the row's transaction."""

from pg_lo_storage.lifecycle.deletions import delete_in_batches

__all__ = ["delete_in_batches"]
