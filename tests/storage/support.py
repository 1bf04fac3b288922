"""What the tests of the storage store, how they look at it, and the names that name nothing."""

import random
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from typing import Final, cast

from django.db import connections, transaction
from django.http import HttpResponseBase

from pg_lo_storage import catalogue
from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from pg_lo_storage.storage.saving import SMALL
from tests.fixtures.connections import RawConnection, run
from tests.invoices.models import Invoice

LARGE: Final = 3 * SMALL + 7
SIZES: Final = [0, 1, 1000, SMALL - 1, SMALL, SMALL + 1, LARGE, 2_500_000]

# "{loid}" stands for the oid of a file that exists; each of these names is another spelling of nothing.
UNACCEPTABLE_NAMES: Final = [
    "",
    ".",
    "..",
    "/",
    "x",
    "x.pdf",
    ".pdf",
    "0",
    "0.pdf",
    "-{loid}",
    "+{loid}",
    "0{loid}",
    "000{loid}.pdf",
    " {loid}",
    "{loid} ",
    "{loid} .pdf",
    "{loid}_0",
    "{loid}.0/x",
    "{loid}/",
    "/{loid}",
    "./{loid}",
    "../{loid}",
    "folder/{loid}",
    "{loid}/../{loid}",
    "..\\{loid}",
    "{loid}.a\\b",
    "{loid}.\x00",
    "{loid}.pdf\n",
    "\n{loid}.pdf",
    "{loid}.a\x7fb",
    "{loid}.a\x85b",
    "{loid}.\ud800",
    "{loid}." + "a" * 101,
    "{loid}pdf",
    "{loid},pdf",
    "0x{loid}",
    "{loid}e0",
    "{arabic}",
    "{arabic}.pdf",
    "{fullwidth}.pdf",
    "{wrapped}",
    "-{complement}",
    "4294967296",
    "4294967296.pdf",
    "9" * 21,
    "9" * 5000,
]
UNACCEPTABLE_OBJECTS: Final = [None, 5, b"5", 5.0]


def row_that_names(name: str, *fields: str) -> Invoice:
    """Return a row that was given a name past its fields, which refuse a file that is not there."""
    pk = Invoice.objects.create().pk
    with connections["default"].cursor() as cursor:
        for field in fields or ("data",):
            cursor.execute(f"update invoices_invoice set {field} = %s where id = {pk}", (name,))
    return Invoice.objects.get(pk=pk)


def spelled(template: str, loid: int) -> str:
    """Put the oid into one of UNACCEPTABLE_NAMES."""
    digits = str(loid)
    return (
        template.replace("{loid}", digits)
        .replace("{arabic}", digits.translate({48 + digit: 0x660 + digit for digit in range(10)}))
        .replace("{fullwidth}", digits.translate({48 + digit: 0xFF10 + digit for digit in range(10)}))
        .replace("{wrapped}", str(2**32 + loid))
        .replace("{complement}", str(2**32 - loid))
    )


def content(size: int) -> bytes:
    """Return bytes that do not repeat, so that no block can pass for another."""
    return random.Random(size).randbytes(size)


def extension_of(name: str) -> str:
    """Return what follows the oid in a name given by ``save``, with its dot."""
    return name.removeprefix(str(loid_of(name)))


def loid_of(name: str) -> int:
    """Return the oid that a name given by ``save`` stands for."""
    return int(name.partition(".")[0])


def stored(name: str, storage: DbFileStorage = db_file_storage) -> bytes:
    """Return what the file holds."""
    with storage.open(name) as file:
        data: bytes = file.read()
        return data


def enter(name: str, using: str = "default") -> None:
    """Catalogue an object that was made by hand, where there is a catalogue; its size and digest are not known."""
    if catalogue.is_installed():
        StoredFile.objects.using(using).create(loid=loid_of(name), extension=extension_of(name))


def make_by_hand(name: str, data: bytes, using: str = "default") -> None:
    """Make the object that the name stands for past the storage, and its entry where there is a catalogue."""
    with connections[using].cursor() as cursor:
        cursor.execute("select lo_from_bytea(%s, %s)", [loid_of(name), data])
    enter(name, using)


def joined(response: HttpResponseBase) -> bytes:
    """Return what a server sends to the client.

    The response is not closed: at the end of a request Django would close the connection, and a test's transaction.
    """
    return b"".join(cast("Iterable[bytes]", response))


def body(response: HttpResponseBase) -> bytes:
    """Return what a server sends to the client, and end the response as a server does."""
    try:
        return joined(response)
    finally:
        response.close()


class Stop(Exception):
    """What a block is left with, to roll it back."""


@contextmanager
def rolled_back() -> Generator[None]:
    """Run the block in a transaction, or in a savepoint where there is one, and roll it back."""
    with suppress(Stop), transaction.atomic():
        yield
        raise Stop


@contextmanager
def ending_once_we_wait(end: Callable[[], None], watcher: RawConnection) -> Generator[threading.Event]:
    """End another transaction as soon as Django's connection is seen to wait for it; the event says that it was."""
    with connections["default"].cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        [ours] = cursor.fetchone()
    over, seen = threading.Event(), threading.Event()

    def watch() -> None:
        while not (over.is_set() or seen.is_set()):
            if run(watcher, "select 1 where cardinality(pg_blocking_pids(%s)) > 0", [ours]):
                seen.set()
        end()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
