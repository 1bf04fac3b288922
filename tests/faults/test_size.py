"""Size and number: one large file, many saves, many open files, many openings, with as much memory as for few.

``PG_LO_TEST_LARGE`` is how large the file is, in megabytes, and ``PG_LO_TEST_MANY`` how many saves there are, in
thousands: docs/reliability.md has the figures of a run with ``5000`` and ``100``.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.files.base import ContentFile
from django.db import connections, transaction
from django.test import RequestFactory

from example.cluster import Server
from pg_lo_storage.storage import db_file_storage
from pg_lo_storage.views import db_serve
from tests.fixtures.connections import INSTALLED, open_connection, run
from tests.serving.downloads import MEGABYTE, Generated, digest_of

LARGE: Final = int(os.environ.get("PG_LO_TEST_LARGE", "60"))
MANY: Final = float(os.environ.get("PG_LO_TEST_MANY", "0.5"))
SAVES: Final = int(1_000 * MANY)
HANDLES: Final = int(50 * MANY)
OPENINGS: Final = int(200 * MANY)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(60 + LARGE * 2 + SAVES),
    pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="no memory is told of here"),
]


def memory_of(pid: int | str) -> int:
    """Return the bytes that a process has to itself, whatever of the server's buffers it has looked at."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("Anonymous:", "Swap:")))


class Memory:
    """What this process and its backend have come to take since the first look."""

    def __init__(self) -> None:
        [(self._backend,)] = sql("select pg_backend_pid()")
        self._first: list[int] | None = None
        self._most = [0, 0]

    def look(self) -> None:
        now = [memory_of("self"), memory_of(self._backend)]
        self._first = self._first or now
        self._most = [max(most, new - old) for most, new, old in zip(self._most, now, self._first, strict=True)]

    def along(self, blocks: Iterable[Any], each: int) -> Iterator[Any]:
        """Look at every so many blocks, once there have been as many."""
        for number, block in enumerate(blocks, 1):
            yield block
            if number % each == 0:
                self.look()

    def check(self, most: int) -> None:
        """The process and the backend have taken no more than that."""
        self.look()
        sys.stdout.write("\n{:,} bytes more in this process, {:,} in its backend".format(*self._most))
        assert max(self._most) < most, self._most


def sql(query: str) -> list[tuple[Any, ...]]:
    with connections["default"].cursor() as cursor:
        cursor.execute(query)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


@pytest.fixture
def _no_temporary_files(server: Server) -> Iterator[None]:
    """The server writes none. It counts what a backend did when that is gone at the latest."""
    query = "select temp_files from pg_stat_database where datname = 'app'"
    with closing(open_connection(INSTALLED[0], server.dsn(), autocommit=True)) as connection:
        before = run(connection, query)
        [(backend,)] = sql("select pg_backend_pid()")
        yield
        connections["default"].close()
        while run(connection, f"select from pg_stat_activity where pid = {backend}"):
            pass
        assert run(connection, query) == before


@pytest.mark.usefixtures("_no_temporary_files")
def test_a_large_file_is_saved_served_and_verified_by_as_much_memory_as_a_small_one() -> None:
    memory = Memory()

    class Watched(Generated):
        def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
            return memory.along(super().chunks(chunk_size), 10)

    name = db_file_storage.save("large.bin", Watched(LARGE))
    digest = digest_of(Generated(LARGE).chunks())
    assert db_file_storage.size(name) == LARGE * MEGABYTE
    assert db_file_storage.entry(name).sha256 == digest
    response = db_serve(RequestFactory().get("/"), name)
    with closing(response):  # which closes the connection
        assert digest_of(memory.along(iter(response), 10)) == digest
        assert db_file_storage.verify(name) is True
        memory.check(20 * MEGABYTE)


def watched(count: int, do: Callable[[int], object]) -> Memory:
    """Do it so many times, and look from the first tenth on."""
    memory = Memory()
    for number in memory.along(range(count), count // 10):
        do(number)
    return memory


@pytest.mark.usefixtures("_no_temporary_files")
def test_the_last_of_many_saves_takes_no_more_than_the_first() -> None:
    names: list[str] = []

    def save(number: int) -> None:
        names[number % 10 :] = [db_file_storage.save("a.txt", ContentFile(b"%d" % number))]

    watched(SAVES, save).check(3 * MEGABYTE)
    with db_file_storage.open(names[-1]) as file:
        assert file.read() == b"%d" % (SAVES - 1)
    [(count,)] = sql("select count(*) from pg_lo_storage_file")
    assert count == SAVES
    connections["default"].close()


@pytest.mark.usefixtures("_no_temporary_files")
def test_many_files_are_open_at_once() -> None:
    names = [db_file_storage.save("a.txt", ContentFile(b"%d" % number)) for number in range(10)]
    with transaction.atomic(), ExitStack() as stack:
        files: list[Any] = []
        memory = watched(
            HANDLES, lambda number: files.append(stack.enter_context(db_file_storage.open(names[number % 10], "rb+")))
        )
        assert [file.read() for file in files] == [b"%d" % (number % 10) for number in range(HANDLES)]
        memory.check(3 * MEGABYTE + HANDLES * 30_000)
        files[-1].write(b"!")
    with db_file_storage.open(names[(HANDLES - 1) % 10]) as file:
        assert file.read() == b"%d!" % ((HANDLES - 1) % 10)


@pytest.mark.usefixtures("_no_temporary_files")
def test_the_last_of_many_openings_in_a_transaction_takes_no_more_than_the_first() -> None:
    name = db_file_storage.save("a.txt", ContentFile(b"content"))

    def use(_: int) -> None:
        with db_file_storage.open(name, "rb+") as file:
            assert file.read() == b"content"

    with transaction.atomic():
        watched(OPENINGS, use).check(3 * MEGABYTE)
