"""Who changes files on a standby is told that it is read-only, by the storage, its files, the fields and fsspec."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.db import InternalError, transaction
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from example.cluster import Cluster
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.exceptions import LargeObjectReadOnly
from pg_lo_storage.io import BinaryMode
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import DbFileIO, db_file_storage
from tests.fixtures.connections import INSTALLED, open_connection
from tests.fixtures.server import known_as, migrate
from tests.invoices.models import Invoice
from tests.standby.conftest import wait_for

pytestmark = pytest.mark.server_tools

LARGE = bytes(1_000_000)


@contextmanager
def using(alias: str, server: Cluster) -> Generator[None]:
    """Have Django know the server by that alias, and keep its files there."""
    with (
        known_as(alias, server),
        override_settings(PG_LO_STORAGE_DB_FOR_READ=alias, PG_LO_STORAGE_DB_FOR_WRITE=alias),
    ):
        yield


@pytest.fixture(scope="package")
def name(primary: Cluster, standby: Cluster, django_db_blocker: DjangoDbBlocker) -> str:
    """The file of the one row that there is."""
    with django_db_blocker.unblock(), using("primary", primary):
        migrate("primary")
        name = db_file_storage.save("letter.txt", ContentFile(b"content"))
        Invoice.objects.using("primary").create(data=name)
    wait_for(standby, primary)
    return name


@pytest.fixture(autouse=True)
def _on_standby(
    name: str,  # noqa: ARG001 -- it is there first
    standby: Cluster,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    with django_db_blocker.unblock(), using("standby", standby):
        yield


def upload(content: bytes = b"data") -> "ContentFile[bytes]":
    return ContentFile(content, "a.txt")


def invoice() -> Invoice:
    return Invoice.objects.using("standby").get()


def save_with(data: "ContentFile[bytes] | None") -> None:
    """Replace or clear the row's file."""
    row = invoice()
    row.data = data
    row.save()


def write(name: str, mode: BinaryMode, data: bytes) -> None:
    with transaction.atomic("standby"), db_file_storage.open(name, mode) as file:
        file.write(data)


def make(data: bytes) -> None:
    with transaction.atomic("standby"), DbFileIO(mode="wb") as file:
        file.write(data)


def shorten(name: str) -> None:
    with transaction.atomic("standby"), DbFileIO(parse_name(name) or 0, "r+b") as file:
        file.truncate(1)


CHANGES: dict[str, Callable[[str], object]] = {
    "save": lambda _: db_file_storage.save("a.txt", upload()),
    "save a large one": lambda _: db_file_storage.save("a.txt", upload(LARGE)),
    "open to replace": lambda name: write(name, "wb", b"data"),
    "write": lambda name: write(name, "r+b", b"data"),
    "write much": lambda name: write(name, "r+b", LARGE),
    "append": lambda name: write(name, "ab", b"data"),
    "truncate": shorten,
    "make": lambda _: make(b"data"),
    "delete": db_file_storage.delete,
    "a new row": lambda _: Invoice(data=upload()).save(using="standby"),
    "a new row with a large file": lambda _: Invoice(data=upload(LARGE)).save(using="standby"),
    "replace": lambda _: save_with(upload()),
    "clear": lambda _: save_with(None),
    "save a field's file": lambda _: invoice().data.save("b.txt", upload()),
    "delete a field's file": lambda _: invoice().data.delete(),
}

IN_FSSPEC: dict[str, Callable[[PgLoFileSystem, str, Path], object]] = {
    "a new object": lambda fs, _name, _path: fs.pipe_file("new.txt", b"data"),
    "replace": lambda fs, name, _path: fs.pipe_file(name, LARGE),
    "put_file": lambda fs, _name, path: fs.put_file(str(path), "new.txt"),
    "cp_file": lambda fs, name, _path: fs.cp_file(name, "new.txt"),
    "rm": lambda fs, name, _path: fs.rm(name),
}

ROWS: dict[str, Callable[[], object]] = {
    "a row without a file": lambda: Invoice().save(using="standby"),
    "delete": lambda: invoice().delete(),
    "delete by a query": lambda: Invoice.objects.using("standby").all().delete(),
}


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize("catalogue", [False, True], ids=["bare", "catalogue"], indirect=True)
@pytest.mark.parametrize("call", CHANGES.values(), ids=CHANGES)
def test_a_change_is_refused_as_read_only(name: str, call: Callable[[str], object]) -> None:
    with pytest.raises(LargeObjectReadOnly) as caught:
        call(name)
    assert caught.value.__cause__ is not None
    with db_file_storage.open(name) as file:
        assert file.read() == b"content"
    assert invoice().data.name == name


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize("catalogue", [False, True], ids=["bare", "catalogue"], indirect=True)
def test_in_an_atomic_block_the_error_marks_it(name: str) -> None:
    with transaction.atomic("standby"):
        with pytest.raises(LargeObjectReadOnly):
            db_file_storage.delete(name)
        assert transaction.get_rollback("standby")


@pytest.mark.parametrize("call", ROWS.values(), ids=ROWS)
def test_what_is_refused_of_the_row_alone_is_djangos_own_error(name: str, call: Callable[[], object]) -> None:
    with pytest.raises(InternalError) as caught:
        call()
    assert not isinstance(caught.value, LargeObjectReadOnly)
    assert db_file_storage.exists(name)


@pytest.fixture(params=[*INSTALLED, "alias"])
def fs(request: pytest.FixtureRequest, standby: Cluster) -> Iterator[PgLoFileSystem]:
    """A filesystem over a connection of each driver, and over the alias."""
    if request.param == "alias":
        yield PgLoFileSystem(alias="standby")
    else:
        with closing(open_connection(request.param, standby.dsn())) as connection:
            yield PgLoFileSystem(connection=connection)


@pytest.mark.parametrize("call", IN_FSSPEC.values(), ids=IN_FSSPEC)
def test_fsspec_is_refused_as_read_only(
    fs: PgLoFileSystem, name: str, tmp_path: Path, call: Callable[[PgLoFileSystem, str, Path], object]
) -> None:
    path = tmp_path / "data.txt"
    path.write_bytes(LARGE)
    with pytest.raises(LargeObjectReadOnly):
        call(fs, name, path)
    assert fs.cat_file(name) == b"content"
