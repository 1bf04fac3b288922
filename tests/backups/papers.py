"""Rows with files, each beside a row that says what is in the file; others that change them all the while."""

import hashlib
import itertools
import random
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from django.core.files.base import ContentFile
from django.db import connections, transaction

from pg_lo_storage.models import StoredFile
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import DbFileStorage
from tests.invoices.models import Invoice, Note

SIZES: Final = (0, 1, 5_000, 300_000)
NAMES: Final = ("letter.pdf", "letter.pdf", "scan.tar.gz", "nameless")
ROWS: Final = 25
IN_PLACE: Final = 1
"""The row whose file is only ever written in place."""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Writer:
    """Changes a file and the note beside it, in one transaction."""

    def __init__(self, alias: str, seed: int) -> None:
        self._alias = alias
        self._random = random.Random(seed)

    def fill(self) -> None:
        for pk in range(1, ROWS + 1):
            self.put(Invoice(pk=pk), SIZES[-1] if pk == IN_PLACE else SIZES[pk % len(SIZES)])
        self.write_in_place()

    def put(self, row: Invoice, size: int) -> None:
        data = self._random.randbytes(size)
        with transaction.atomic(self._alias):
            row.data = ContentFile(data, name=self._random.choice(NAMES))
            row.save(using=self._alias)
            Note.objects.using(self._alias).update_or_create(pk=row.pk, defaults={"text": digest(data)})

    def replace(self) -> None:
        """Replace one of the files, or bring back a row that was deleted."""
        self.put(Invoice(pk=self._random.randrange(2, ROWS)), self._random.choice(SIZES))

    def delete(self) -> None:
        pk = self._random.randrange(2, ROWS)
        with transaction.atomic(self._alias):
            for model in (Note, Invoice):
                model.objects.using(self._alias).filter(pk=pk).delete()

    def write_in_place(self) -> None:
        """Change the file at both ends, so that half of it would be seen."""
        with transaction.atomic(self._alias):
            row = Invoice.objects.using(self._alias).select_for_update().get(pk=IN_PLACE)
            with row.data.open("rb+") as file:
                file.write(self._random.randbytes(8))
                file.seek(-8, 2)
                file.write(self._random.randbytes(8))
                file.seek(0)
                text = digest(file.read())
            Note.objects.using(self._alias).filter(pk=IN_PLACE).update(text=text)


class Work:
    """What threads do until they are to stop, and how much of it is done."""

    def __init__(self) -> None:
        self.is_over = False
        self.errors: list[Exception] = []
        self._done = threading.Semaphore(0)

    def repeat(self, alias: str, *steps: Callable[[], None]) -> None:
        try:
            for step in itertools.cycle(steps):
                if self.is_over:
                    break
                step()
                self._done.release()
        except Exception as error:  # noqa: BLE001 -- the test's own thread raises it
            self.errors.append(error)
        finally:
            connections[alias].close()

    def wait_for(self, changes: int) -> None:
        """Wait until that many more are done."""
        while self._done.acquire(blocking=False):
            pass
        for _ in range(changes):
            assert self._done.acquire(timeout=60), self.errors


@contextmanager
def writers(alias: str) -> Generator[Work]:
    """Have two threads change rows and files until the block ends."""
    work, one, other = Work(), Writer(alias, 1), Writer(alias, 2)
    threads = [
        threading.Thread(target=work.repeat, args=(alias, one.replace, one.replace, one.delete)),
        threading.Thread(target=work.repeat, args=(alias, other.write_in_place)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield work
    finally:
        work.is_over = True
        for thread in threads:
            thread.join()
    assert not work.errors, work.errors


def look(alias: str) -> dict[int, str]:
    """Return the digest of each row's file, after a look whether rows, notes, catalogue and objects agree."""
    storage = DbFileStorage(alias=alias)
    digests, names = dict[int, str](), set[int | None]()
    with transaction.atomic(alias):  # the rows and files of one moment, also while others change them
        with connections[alias].cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read")
        for row in Invoice.objects.using(alias):
            with row.data.open() as file:
                digests[row.pk] = digest(file.read())
            name = row.data.name or ""
            names.add(parse_name(name))
            assert storage.verify(name) is (row.pk != IN_PLACE or None)
        notes = dict(Note.objects.using(alias).values_list("pk", "text"))
        entries = set(StoredFile.objects.using(alias).values_list("loid", flat=True))
        with connections[alias].cursor() as cursor:
            cursor.execute("select oid::int8 from pg_largeobject_metadata")
            objects = {oid for (oid,) in cursor.fetchall()}
    assert digests == notes
    assert names == entries == objects
    return digests
