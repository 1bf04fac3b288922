"""What a field opened by itself it opens again by itself; what the user opened belongs to its transaction."""

import copy
import io
import pickle
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.images import ImageFile
from django.core.files.storage import FileSystemStorage
from django.db import connections, transaction
from PIL import Image
from typing_extensions import override

from pg_lo_storage.exceptions import StaleLargeObject
from pg_lo_storage.fields import DbFieldFile
from pg_lo_storage.storage import DbFile, DbFileStorage, db_file_storage
from tests.invoices.models import Invoice, Note
from tests.storage.support import LARGE, content, rolled_back, stored

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = [10, LARGE]


@contextmanager
def committed() -> Generator[None]:
    with transaction.atomic():
        yield


@contextmanager
def savepoint_rolled_back() -> Generator[None]:
    with transaction.atomic():
        with rolled_back():
            yield
        Note.objects.create(text="the transaction is usable")


ENDS = [committed, rolled_back, savepoint_rolled_back]
End = Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=SIZES)
def data(request: pytest.FixtureRequest) -> bytes:
    return content(request.param)


@pytest.fixture
def row(data: bytes) -> Generator[Invoice]:
    row = loaded(data)
    yield row
    row.data.close()


def loaded(data: bytes) -> Invoice:
    """Return a row that has its file and has not opened it yet."""
    return Invoice.objects.get(pk=Invoice.objects.create(data=ContentFile(data, name="a.txt")).pk)


USES: dict[str, tuple[Callable[[DbFieldFile], object], Callable[[bytes], object]]] = {
    "read": (lambda file: file.read(), lambda data: data[3:]),
    "read some": (lambda file: file.read(4), lambda data: data[3:7]),
    "chunks": (lambda file: b"".join(file.chunks()), lambda data: data),
    "iterate": (b"".join, lambda data: data),
    "seek": (lambda file: file.seek(5), lambda _data: 5),
    "tell": (lambda file: file.tell(), lambda _data: 3),
    "size": (lambda file: file.size, len),
    "save": (lambda file: stored(db_file_storage.save("c", file)), lambda data: data),
    "file": (lambda file: file.file.read(), lambda data: data[3:]),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("use", USES)
def test_after_its_end_the_field_goes_on(use: str, end: End, row: Invoice, data: bytes) -> None:
    call, expected = USES[use]
    with end():
        assert row.data.read(3) == data[:3]
    for _ in range(2):
        row.data.seek(3)
        assert call(row.data) == expected(data)
    with transaction.atomic():
        row.data.seek(3)
        assert call(row.data) == expected(data)
        Note.objects.create(text="the transaction is usable")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("use", USES)
def test_the_position_is_the_one_it_had(use: str, end: End, row: Invoice, data: bytes) -> None:
    call, expected = USES[use]
    with end():
        row.data.read(3)
    assert call(row.data) == expected(data)


@pytest.mark.parametrize("end", ENDS)
def test_in_the_same_block_after_a_savepoint_of_its_own(end: End, row: Invoice, data: bytes) -> None:
    with transaction.atomic():
        with end():
            row.data.read(3)
        assert row.data.read() == data[3:]


def test_on_commit(row: Invoice, data: bytes) -> None:
    read: list[bytes] = []
    with transaction.atomic():
        row.data.read(3)
        transaction.on_commit(lambda: read.append(row.data.read()))
    assert read == [data[3:]]


def test_chunks_go_on_while_transactions_end(row: Invoice, data: bytes) -> None:
    with transaction.atomic():
        chunks = row.data.chunks(7)
        parts = [next(chunks)]
    for number, part in enumerate(chunks):
        parts.append(part)
        if number < 2:
            with transaction.atomic():
                parts += [chunk for chunk in [next(chunks, b"")] if chunk]
    assert b"".join(parts) == data


def test_over_a_new_connection(row: Invoice, data: bytes) -> None:
    with transaction.atomic():
        row.data.read(3)
    connections["default"].close()
    assert row.data.read() == data[3:]


def test_what_was_changed_meanwhile_is_the_same_file(row: Invoice, data: bytes) -> None:
    with rolled_back():
        row.data.read(3)
    with transaction.atomic(), db_file_storage.open(row.data.name or "", "wb") as file:
        file.write(b"abcdef")
    if len(data) > 10:  # which was not in memory
        assert row.data.read() == b"def"
    assert stored(row.data.name or "") == b"abcdef"


def test_what_was_deleted_meanwhile_is_not_found() -> None:
    found = loaded(content(LARGE))
    with transaction.atomic():
        found.data.read(3)
    Invoice.objects.all().delete()
    with pytest.raises(FileNotFoundError):
        found.data.read()
    found.data.close()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_rolled_back_is_not_found(size: int) -> None:
    rows: list[Invoice] = []
    with rolled_back():
        rows.append(loaded(content(size)))
        rows[0].data.read(3)
    with pytest.raises(FileNotFoundError):
        rows[0].data.read()
    rows[0].data.close()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("mode", ["rb", "rb+"])
def test_what_the_user_opened_keeps_the_rule(mode: str, end: End) -> None:
    row = loaded(content(LARGE))
    with end():
        row.data.read(3)
        row.data.open(mode)
        row.data.read(3)
    for use in (row.data.read, row.data.tell, lambda: list(row.data.chunks())):
        with pytest.raises(StaleLargeObject):
            use()
    assert row.data.open().read() == content(LARGE)
    row.data.close()


def pickled(row: Invoice) -> Invoice:
    loaded: Invoice = pickle.loads(pickle.dumps(row))
    return loaded


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copies_open_their_own(copied: Callable[[Invoice], Invoice], row: Invoice, data: bytes) -> None:
    with transaction.atomic():
        row.data.read(3)
        copies = [copied(row)]
        copies[0].data.read(5)
    for file, rest in ((row.data, data[3:]), (copies[0].data, data[5:]), (copy.copy(row.data), data)):
        assert file.read() == rest
        file.close()


def test_a_file_that_is_opened_for_an_images_size() -> None:
    picture = io.BytesIO()
    Image.effect_noise((700, 700), 90).save(picture, "png")
    row = Invoice.objects.create(scan=ImageFile(picture, name="a.png"))
    found = Invoice.objects.get(pk=row.pk)
    with transaction.atomic():
        found.scan.read(3)
        assert (found.scan.width, found.scan.height) == (700, 700)
    assert found.scan.read() == picture.getvalue()
    found.scan.close()


@pytest.mark.parametrize("end", ENDS)
def test_a_plain_field_opens_it_again_when_it_is_told_to(end: End, data: bytes) -> None:
    Invoice.objects.create(plain=ContentFile(data, name="a.txt"))
    found = Invoice.objects.get(plain__gt="")
    with end():
        found.plain.read(3)
    assert found.plain.open().read() == data
    found.plain.close()


def test_a_storage_of_the_projects_own_is_the_one_that_opens() -> None:
    class Own(DbFileStorage):
        @override
        def _open(self, name: str, mode: str = "rb") -> DbFile:
            opened.append(name)
            return super()._open(name, mode)

    opened: list[str] = []
    row = loaded(b"abc")
    file = DbFieldFile(row, row.data.field, row.data.name)
    file.storage = Own()
    with transaction.atomic():
        assert file.read() == b"abc"
    assert opened == [row.data.name]
    file.close()


def test_a_field_on_another_storage_opens_its_files_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Invoice.data.field, "storage", FileSystemStorage(tmp_path))
    (tmp_path / "a.txt").write_bytes(b"data")
    file = Invoice(data="a.txt").data
    with file.open("r+b"):
        file.write(b"DA")
    assert (tmp_path / "a.txt").read_bytes() == b"DAta"
