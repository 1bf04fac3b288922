"""A request's files are in the database when the view begins, and afterwards those that it kept."""

import asyncio
import hashlib
import io
import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.core.files.uploadedfile import InMemoryUploadedFile, SimpleUploadedFile, TemporaryUploadedFile
from django.core.files.uploadhandler import StopFutureHandlers
from django.db import connections
from django.test import Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from pg_lo_storage.catalogue import uploads
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.models import StoredFile, UnfinishedUpload
from pg_lo_storage.storage import DbFileStorage, DbUploadedFile
from pg_lo_storage.storage.saving import SMALL
from pg_lo_storage.uploadhandler import DbFileUploadHandler, UploadTooLarge
from tests.fixtures.catalogue import without_catalogue
from tests.fixtures.losing import Lose
from tests.invoices.models import Invoice
from tests.storage.support import LARGE, content, stored
from tests.uploads.conftest import ALIASES, HANDLER

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

NothingIsLeft = Callable[..., None]
DJANGOS = "django.core.files.uploadhandler"
SIZES = [1, SMALL, SMALL + 1, LARGE, 2_500_000]


def upload(size: int = LARGE, name: str = "march.pdf", content_type: str = "application/pdf") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content(size), content_type)


def received(size: int = LARGE) -> DbUploadedFile:
    """Return what the handler makes of a file; outside a request nobody unlinks it."""
    request = RequestFactory().post("/", {"data": upload(size)})
    request.upload_handlers = [DbFileUploadHandler(request)]
    file = request.FILES["data"]
    assert isinstance(file, DbUploadedFile)
    return file


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.usefixtures("place")
def test_a_form_takes_the_file_over(site: Client, size: int, nothing_is_left: NothingIsLeft) -> None:
    response = site.post("/form/", {"data": upload(size)})
    assert response.status_code == 200, response.content
    invoice = Invoice.objects.get()
    assert stored(invoice.data.name or "") == content(size)
    entry = StoredFile.objects.get()
    assert entry.name == invoice.data.name
    assert (entry.size, entry.sha256) == (size, hashlib.sha256(content(size)).hexdigest())
    assert (entry.original_name, entry.content_type) == ("march.pdf", "application/pdf")
    nothing_is_left(files=1)


@override_settings(PG_LO_STORAGE_DRIVER="pg_lo_storage.drivers.DriverWrapper")
def test_a_driver_without_sql_takes_it_too(site: Client, nothing_is_left: NothingIsLeft) -> None:
    assert site.post("/form/", {"data": upload()}).status_code == 200
    assert stored(Invoice.objects.get().data.name or "") == content(LARGE)
    nothing_is_left(files=1)


@pytest.mark.parametrize("path", ["/look/", "/fail/", "/invalid/"])
@pytest.mark.parametrize("size", [1, LARGE])
@pytest.mark.usefixtures("place")
def test_what_is_not_kept_is_unlinked(site: Client, path: str, size: int, nothing_is_left: NothingIsLeft) -> None:
    site.post(path, {"data": upload(size), "plain": upload(size)})
    nothing_is_left()


def test_it_is_taken_over_by_one_statement_that_has_no_content() -> None:
    file = received()
    with CaptureQueriesContext(connections["default"]) as queries:
        name = DbFileStorage().save("march.pdf", file)
    assert name == f"{file.loid}.pdf"
    assert len(queries) == 1
    assert "bytes>" not in queries[0]["sql"]


@pytest.mark.parametrize("attribute", ["file", "file.read", "chunks"])
def test_what_a_view_has_put_in_its_place_is_saved(attribute: str, nothing_is_left: NothingIsLeft) -> None:
    file, changed = received(), content(10)
    if attribute == "file":  # as by whoever takes the place out of a photograph
        file.file = io.BytesIO(changed)
    elif attribute == "chunks":
        vars(file)["chunks"] = lambda: [changed]
    else:
        vars(file.file)["read"] = io.BytesIO(changed).read
    name = DbFileStorage().save("march.pdf", file)
    assert stored(name) == changed
    assert StoredFile.objects.get().sha256 == hashlib.sha256(changed).hexdigest()
    assert UnfinishedUpload.objects.get().loid == file.loid
    uploads.discard(DatabaseDriver("default"), [file.loid])
    nothing_is_left(files=1)


def test_its_entry_has_the_size_of_what_arrived() -> None:
    file = received()
    file.size = 5
    DbFileStorage().save("march.pdf", file)
    assert StoredFile.objects.get().size == LARGE


def test_no_transaction_is_open_while_a_client_sends() -> None:
    handler = DbFileUploadHandler()
    with pytest.raises(StopFutureHandlers):
        handler.new_file("data", "march.pdf", "application/pdf", None, None, None)
    handler.receive_data_chunk(content(LARGE), 0)
    with connections["other"].cursor() as cursor:
        pid = connections["default"].connection.info.backend_pid
        cursor.execute("select state from pg_stat_activity where pid = %s", [pid])
        assert cursor.fetchone() == ("idle",)
    assert UnfinishedUpload.objects.count() == 1


def test_each_file_of_a_form_is_on_the_database_of_its_storage(site: Client, nothing_is_left: NothingIsLeft) -> None:
    files = {"data": [upload(), upload(SMALL + 1)], "other": upload(LARGE + 1), "memory": upload(LARGE + 2)}
    response = site.post("/several/", files)
    names = response.json()
    assert [stored(name) for name in names["data"]] == [content(LARGE), content(SMALL + 1)]
    assert stored(names["other"], DbFileStorage(alias="other")) == content(LARGE + 1)
    assert names["memory"] == hashlib.sha256(content(LARGE + 2)).hexdigest()
    nothing_is_left(files=2, others=1)


@pytest.mark.usefixtures("place")
def test_it_becomes_a_file_once_and_is_copied_then(site: Client, nothing_is_left: NothingIsLeft) -> None:
    response = site.post("/twice/", {"data": upload()})
    first, second, read = response.json()
    assert first != second
    assert stored(first) == stored(second) == content(LARGE)
    assert read == hashlib.sha256(content(LARGE)).hexdigest()
    assert {entry.sha256 for entry in StoredFile.objects.all()} == {read}
    nothing_is_left(files=2)


@pytest.mark.usefixtures("place")
def test_after_a_rollback_it_can_become_a_file_again(site: Client, nothing_is_left: NothingIsLeft) -> None:
    response = site.post("/again/", {"data": upload()})
    first, second = response.json()
    assert first == second
    assert stored(second) == content(LARGE)
    nothing_is_left(files=1)


def test_it_is_read_as_any_upload_is() -> None:
    file, expected = received(), content(LARGE)
    assert (file.name, file.size, file.content_type, file.charset) == ("march.pdf", LARGE, "application/pdf", None)
    assert file.multiple_chunks()
    assert b"".join(file.chunks()) == b"".join(file) == expected
    assert file.seek(10) == 10
    assert (file.read(5), file.tell()) == (expected[10:15], 15)
    assert file.seek(-5, io.SEEK_END) == LARGE - 5
    assert file.read() == expected[-5:]
    assert file.open() is file
    assert file.tell() == 0
    file.close()
    assert file.closed
    with file.open() as again:
        assert again.read() == expected
    assert not hasattr(file, "temporary_file_path")


@pytest.mark.parametrize("size", [1_000_001, 3_000_000])
@pytest.mark.usefixtures("place")
def test_too_large_a_file_is_413(site: Client, size: int, nothing_is_left: NothingIsLeft) -> None:
    with override_settings(FILE_UPLOAD_HANDLERS=["tests.uploads.site.Limited"]):
        assert site.post("/form/", {"data": upload(1_000_000)}).status_code == 200
        Invoice.objects.get().delete()
        response = site.post("/form/", {"plain": upload(500_000), "data": upload(size)})
        assert response.status_code == 413
        assert response.content == b"the file is larger than 1,000,000 bytes\n"
        nothing_is_left()
        with override_settings(MIDDLEWARE=[]):
            bare = Client(raise_request_exception=False)
            assert bare.post("/form/", {"data": upload(size)}).status_code == 400
        nothing_is_left()


def test_many_small_files_take_little_memory(site: Client, nothing_is_left: NothingIsLeft) -> None:
    """Those that are too many for the memory are written: 1,100 are more than are unlinked in one transaction."""
    files = {"data": [upload(1, str(number)) for number in range(1_110)]}
    with override_settings(FILE_UPLOAD_MAX_MEMORY_SIZE=10, DATA_UPLOAD_MAX_NUMBER_FILES=None):
        kinds = site.post("/look/", files).json()["data"]
    assert kinds == [InMemoryUploadedFile.__name__] * 10 + [DbUploadedFile.__name__] * 1_100
    nothing_is_left()


@pytest.mark.parametrize(
    "content_type", ["", "a" * 900, "text/html; charset=utf-16", "..", "a/b\x00", 'x/y; filename="/etc/passwd"']
)
def test_no_content_type_does_harm(site: Client, content_type: str, nothing_is_left: NothingIsLeft) -> None:
    assert site.post("/form/", {"data": upload(name="file", content_type=content_type)}).status_code == 200
    assert StoredFile.objects.get().content_type in {"application/octet-stream", "text/html", "x/y"}
    nothing_is_left(files=1)


def test_too_large_a_file_is_refused_without_a_request_too() -> None:
    handler = DbFileUploadHandler(max_size=10)
    with pytest.raises(StopFutureHandlers):
        handler.new_file("data", "march.pdf", "application/pdf", None, None, None)
    with pytest.raises(UploadTooLarge, match="larger than 10 bytes"):
        handler.receive_data_chunk(content(11), 0)


def test_what_several_handlers_of_a_request_have_left_is_unlinked(nothing_is_left: NothingIsLeft) -> None:
    request = RequestFactory().post("/")
    for handler in [DbFileUploadHandler(request, alias=alias) for alias in ALIASES]:
        with pytest.raises(StopFutureHandlers):
            handler.new_file("data", "march.pdf", "application/pdf", None, None, None)
        handler.receive_data_chunk(content(LARGE), 0)
    assert [UnfinishedUpload.objects.using(alias).count() for alias in ALIASES] == [1, 1]
    connections.close_all()
    request.close()
    assert [connections[alias].connection for alias in ALIASES] == [None, None]  # nobody else would close them
    nothing_is_left()


def test_what_a_lost_connection_leaves_is_for_prune(
    lose: Lose, caplog: pytest.LogCaptureFixture, nothing_is_left: NothingIsLeft
) -> None:
    request = RequestFactory().post("/", {"data": upload()})
    request.upload_handlers = [DbFileUploadHandler(request)]
    assert request.FILES
    lose()
    request.close()
    assert "uploads on 'default' are left for 'largeobjects prune'" in caplog.text
    connections["default"].close()
    uploads.discard(DatabaseDriver("default"), [UnfinishedUpload.objects.get().loid])
    nothing_is_left()


def test_it_needs_the_catalogue() -> None:
    with without_catalogue(), pytest.raises(ImproperlyConfigured, match="INSTALLED_APPS"):
        DbFileUploadHandler()


def test_an_asynchronous_view_is_told_to_read_the_body_in_a_thread() -> None:
    """Whatever the size: what needs no database today would fail with the first large file."""
    request = RequestFactory().post("/", {"data": upload(1)})
    request.upload_handlers = [DbFileUploadHandler(request)]

    async def view() -> None:
        with pytest.raises(SynchronousOnlyOperation, match="sync_to_async"):
            assert request.FILES

    asyncio.run(view())


def test_who_allows_django_statements_in_an_event_loop_may_read_it_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

    async def view() -> bytes:
        read: bytes = received().read()
        connections.close_all()  # a task has connections of its own
        return read

    assert asyncio.run(view()) == content(LARGE)


def test_an_empty_file_is_a_file(site: Client, nothing_is_left: NothingIsLeft) -> None:
    assert site.post("/form/", {"data": upload(0)}).json() == {"data": ["The submitted file is empty."]}
    response = site.post("/several/", {"data": upload(0), "other": upload(0), "memory": upload(0)})
    assert [stored(name) for name in response.json()["data"]] == [b""]
    nothing_is_left(files=1, others=1)


@pytest.fixture
def admin() -> Iterator[Client]:
    """A client of Django's admin, which protects its forms from CSRF: that reads the body first."""
    with override_settings(FILE_UPLOAD_HANDLERS=[HANDLER]):
        client = Client(enforce_csrf_checks=True)
        client.force_login(User.objects.create_superuser("admin"))
        yield client


def posted(admin: Client, url: str, **data: object) -> int:
    """Post a form of the admin as a browser does; return the status."""
    [token, *_] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', admin.get(url).text)
    return admin.post(url, {"csrfmiddlewaretoken": token, **data}).status_code


def test_the_admin_saves_replaces_and_refuses(admin: Client, nothing_is_left: NothingIsLeft) -> None:
    add = reverse("admin:invoices_invoice_add")
    assert posted(admin, add, data=upload(), elsewhere=upload(SMALL + 1)) == 302
    invoice = Invoice.objects.get()
    assert stored(invoice.data.name or "") == content(LARGE)
    nothing_is_left(files=2)

    change = reverse("admin:invoices_invoice_change", args=[invoice.pk])
    assert posted(admin, change, data=upload(2_500_000)) == 302
    assert stored(Invoice.objects.get().data.name or "") == content(2_500_000)
    nothing_is_left(files=2)

    assert posted(admin, change, data=upload(), owner="nobody") == 200
    nothing_is_left(files=2)
    assert admin.post(add, {"data": upload()}).status_code == 403
    nothing_is_left(files=2)


def test_a_body_that_was_read_as_a_stream_has_no_uploads(site: Client, nothing_is_left: NothingIsLeft) -> None:
    """Django gives a body once, and then says that there are no files."""
    assert site.post("/streamed/", {"data": upload()}).json() == [True, 0]
    nothing_is_left()


def test_a_body_that_was_read_whole_has_its_uploads(site: Client, nothing_is_left: NothingIsLeft) -> None:
    response = site.post("/whole/", {"data": upload(), "plain": upload(1)})
    invoice = Invoice.objects.get()
    assert response.json()["data"] == invoice.data.name
    assert stored(invoice.data.name or "") == content(LARGE)
    nothing_is_left(files=2)


@pytest.mark.parametrize(
    ("handlers", "kind"),
    [
        ([HANDLER, f"{DJANGOS}.TemporaryFileUploadHandler"], DbUploadedFile),
        ([f"{DJANGOS}.TemporaryFileUploadHandler", HANDLER], TemporaryUploadedFile),
        ([f"{DJANGOS}.MemoryFileUploadHandler", HANDLER], DbUploadedFile),
    ],
)
def test_beside_other_handlers_the_first_that_takes_it_has_it(
    site: Client, handlers: list[str], kind: type[object], nothing_is_left: NothingIsLeft
) -> None:
    """Django's for small requests leaves a large one to the next."""
    with override_settings(FILE_UPLOAD_HANDLERS=handlers):
        assert site.post("/look/", {"data": upload(3_000_000)}).json() == {"data": [kind.__name__]}
        nothing_is_left()
        assert site.post("/form/", {"data": upload(3_000_000)}).status_code == 200
    assert stored(Invoice.objects.get().data.name or "") == content(3_000_000)
    nothing_is_left(files=1)
