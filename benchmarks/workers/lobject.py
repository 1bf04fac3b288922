"""psycopg2's own large objects, in blocks of 256 KB."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg2

from benchmarks.jobs import Job

BLOCK = 262_144


class LobjectStore:
    """Names are those that this library gave: the oid, and an extension."""

    def connect(self, job: Job) -> None:
        self._connection = psycopg2.connect(job.dsn)

    def disconnect(self) -> None:
        self._connection.close()

    def backend(self) -> int:
        return self._connection.info.backend_pid

    def chunks(self, name: str) -> Iterator[bytes]:
        with self._connection:
            file = self._connection.lobject(oid_of(name), "rb")
            while block := file.read(BLOCK):
                yield block
            file.close()

    def read(self, name: str) -> bytes:
        with self._connection:
            file = self._connection.lobject(oid_of(name), "rb")
            content = file.read()
            file.close()
            return content

    def export(self, name: str, path: str) -> None:
        with Path(path).open("wb") as target:
            target.writelines(self.chunks(name))

    def save(self, path: str) -> str:
        with self._connection, Path(path).open("rb") as source:
            file = self._connection.lobject(0, "wb")
            while block := source.read(BLOCK):
                file.write(block)
            file.close()
            return str(file.oid)

    def save_rows(self, count: int, size: int) -> None:
        with self._connection, self._connection.cursor() as cursor:
            for number in range(count):
                file = self._connection.lobject(0, "wb")
                file.write(os.urandom(size))
                file.close()
                cursor.execute("insert into papers_own (title, data) values (%s, %s)", [str(number), str(file.oid)])

    def delete(self, name: str) -> None:
        with self._connection:
            self._connection.lobject(oid_of(name), "n").unlink()


def oid_of(name: str) -> int:
    """Return the number that the name begins with."""
    return int(name.partition(".")[0])


def make_store(_job: Job) -> LobjectStore:
    """Return the store."""
    return LobjectStore()
