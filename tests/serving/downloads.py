"""Large files, how they are compared, and what the database's sessions do meanwhile."""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Final

from django.core.files.base import File

from example.cluster import Server
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from tests.fixtures.connections import INSTALLED, open_connection, run

MEGABYTE: Final = 1_000_000


if TYPE_CHECKING:
    _BinaryFile = File[bytes]
else:
    _BinaryFile = File


class Generated(_BinaryFile):
    """A file of that many megabytes, none of which is in memory for long, and none like another."""

    def __init__(self, megabytes: int) -> None:
        super().__init__(None, "large.bin")
        self.megabytes = megabytes

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:  # noqa: ARG002 -- Django's
        random_bytes = random.Random(0)
        return (random_bytes.randbytes(MEGABYTE) for _ in range(self.megabytes))


def save(megabytes: int, storage: DbFileStorage = db_file_storage) -> tuple[str, str]:
    """Store such a file; return its name and its digest."""
    name = storage.save("large.bin", Generated(megabytes))
    return name, digest_of(Generated(megabytes).chunks())


def digest_of(blocks: Iterable[bytes]) -> str:
    """Return the blocks' SHA-256."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def watch_sessions(server: Server) -> Callable[[], list[str]]:
    """Return what tells the states of the database's sessions that are begun from now on."""
    # One that is only starting has no state of its own, or, since PostgreSQL 18, that.
    state = "coalesce(nullif(state, 'starting'), 'active')"
    query = f"select pid, {state} from pg_stat_activity where datname = 'app' and backend_type = 'client backend'"

    def look() -> dict[int, str]:
        with closing(open_connection(INSTALLED[0], server.dsn(), autocommit=True)) as connection:
            return dict(run(connection, f"{query} and pid <> pg_backend_pid()"))

    before = look()
    return lambda: [state for pid, state in look().items() if pid not in before]
