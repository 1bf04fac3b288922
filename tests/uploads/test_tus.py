"""The tus protocol 1.0: an upload goes on where it was, is its user's alone, and becomes a file by a form."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connections, transaction
from django.db.models.functions import Now
from django.http import HttpRequest, UnreadablePostError
from django.test import Client, RequestFactory, override_settings

from pg_lo_storage import tus
from pg_lo_storage.models import StoredFile, UnfinishedUpload
from pg_lo_storage.storage.saving import PART
from pg_lo_storage.tus import TusUpload, finished
from tests.fixtures.catalogue import without_catalogue
from tests.fixtures.connections import RawConnection, run
from tests.invoices.models import Invoice
from tests.storage.support import content, stored
from tests.uploads.conftest import ALIASES

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

NothingIsLeft = Callable[..., None]
SIZE: Final = 5 * PART + 7
CONTENT: Final = content(SIZE)
CHUNK: Final = "application/offset+octet-stream"
MIDDLEWARE: Final = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]


class Uploader:
    """A user's client that speaks the protocol."""

    def __init__(self, name: str, url: str = "/up/") -> None:
        self.user = User.objects.create(username=name)
        self.client = Client(raise_request_exception=False)
        self.client.force_login(self.user)
        self.url = url

    def ask(self, method: str, url: str, body: bytes = b"", content_type: str = CHUNK, **headers: Any) -> Any:
        headers |= {"Content-Type": content_type}
        sent = {name.replace("_", "-"): str(value) for name, value in ({"Tus_Resumable": "1.0.0"} | headers).items()}
        return self.client.generic(method, url, body, headers=sent)

    def begin(self, length: int = SIZE, **headers: Any) -> str:
        response = self.ask("POST", self.url, content_type="", Upload_Length=length, **headers)
        assert response.status_code == 201, response.content
        return str(response["Location"])

    def send(self, url: str, body: bytes, offset: int = 0, **headers: Any) -> Any:
        return self.ask("PATCH", url, body, Upload_Offset=offset, **headers)

    def offset(self, url: str) -> int:
        response = self.ask("HEAD", url)
        assert response.status_code == 200
        return int(response["Upload-Offset"])

    def whole(self, **headers: Any) -> str:
        url = self.begin(**headers)
        assert self.send(url, CONTENT).status_code == 204
        return url


@pytest.fixture(autouse=True)
def _site() -> Iterator[None]:
    with override_settings(ROOT_URLCONF="tests.uploads.resumable", MIDDLEWARE=MIDDLEWARE):
        yield


@pytest.fixture
def ann() -> Uploader:
    return Uploader("ann")


@pytest.fixture
def bob() -> Uploader:
    return Uploader("bob")


@pytest.fixture(params=["autocommit", "atomic"])
def requests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether views run in transactions."""
    for alias in ALIASES:
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", request.param == "atomic")
    return str(request.param)


def base64_of(value: bytes) -> str:
    return base64.b64encode(value).decode()


def of_file(name: str = "märz.pdf", content_type: str = "application/pdf") -> str:
    return f"filename {base64_of(name.encode())},filetype {base64_of(content_type.encode())}"


@pytest.mark.usefixtures("requests")
def test_a_form_takes_over_what_came_in_pieces(ann: Uploader, nothing_is_left: NothingIsLeft) -> None:
    url, offset = ann.begin(Upload_Metadata=of_file()), 0
    for size in (1, 3 * PART, 0, SIZE - 3 * PART - 1):
        response = ann.send(url, CONTENT[offset : offset + size], offset)
        offset += size
        assert (response.status_code, response["Upload-Offset"]) == (204, str(offset))
        assert ann.offset(url) == offset
    name = ann.client.post("/resumed/", {"data": url}).json()["data"]
    assert stored(name) == CONTENT
    entry = StoredFile.objects.get()
    assert entry.name == Invoice.objects.get().data.name == name
    assert (entry.size, entry.sha256) == (SIZE, hashlib.sha256(CONTENT).hexdigest())
    assert (entry.original_name, entry.content_type) == ("märz.pdf", "application/pdf")
    assert ann.ask("HEAD", url).status_code == 404
    nothing_is_left(files=1)


def test_head_tells_all_that_a_client_needs(ann: Uploader) -> None:
    url = ann.begin(10, Upload_Metadata=of_file())
    response = ann.ask("HEAD", url)
    told = {name: response[name] for name in ("Upload-Offset", "Upload-Length", "Tus-Resumable", "Cache-Control")}
    assert told == {"Upload-Offset": "0", "Upload-Length": "10", "Tus-Resumable": "1.0.0", "Cache-Control": "no-store"}
    assert response["Upload-Metadata"] == of_file()
    assert response["Upload-Expires"].endswith(" GMT")
    assert "Upload-Metadata" not in ann.ask("HEAD", ann.begin(10))


def test_options_tells_what_is_spoken() -> None:
    response = Client().options("/limited/")
    assert response.status_code == 204
    assert response["Tus-Version"] == response["Tus-Resumable"] == "1.0.0"
    assert response["Tus-Extension"] == "creation,creation-with-upload,termination,checksum,expiration"
    assert response["Tus-Checksum-Algorithm"] == "sha1,sha256"
    assert response["Tus-Max-Size"] == "1000"
    assert "Tus-Max-Size" not in Client().options("/up/")


def test_the_first_bytes_may_come_with_the_announcement(ann: Uploader, nothing_is_left: NothingIsLeft) -> None:
    response = ann.ask("POST", "/up/", CONTENT[:100], Upload_Length=200)
    assert (response.status_code, response["Upload-Offset"]) == (201, "100")
    assert ann.offset(response["Location"]) == 100
    assert ann.ask("DELETE", response["Location"]).status_code == 204
    assert ann.ask("POST", "/up/", CONTENT[:201], Upload_Length=200).status_code == 413
    wrong = f"sha1 {base64_of(hashlib.sha1(b'').digest())}"
    assert ann.ask("POST", "/up/", b"a", Upload_Length=1, Upload_Checksum=wrong).status_code == 460
    nothing_is_left()


def test_an_empty_upload_is_whole(ann: Uploader) -> None:
    url = ann.begin(0)
    assert ann.client.post("/resumed/", {"data": url}).json() == {"data": ["The submitted file is empty."]}


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"Tus_Resumable": "0.2.2"}, 412),
        ("PATCH", {"Tus_Resumable": ""}, 412),
        ("POST", {}, 400),
        ("POST", {"Upload_Length": "-1"}, 400),
        ("POST", {"Upload_Length": "9" * 19}, 413),
        ("POST", {"Upload_Length": 1, "Upload_Metadata": "filename !"}, 400),
        ("PATCH", {}, 400),
        ("PATCH", {"Upload_Offset": 1}, 409),
        ("PATCH", {"Upload_Offset": 0, "content_type": "text/plain"}, 415),
        ("PATCH", {"Upload_Offset": 0, "body": b"12345678901"}, 413),
        ("PATCH", {"Upload_Offset": 0, "Upload_Checksum": "md5 AAAA"}, 400),
        ("PATCH", {"Upload_Offset": 0, "Upload_Checksum": "sha1 AAAA"}, 400),
        ("PATCH", {"Upload_Offset": 0, "Transfer_Encoding": "chunked"}, 411),
        ("GET", {}, 405),
        ("PUT", {}, 405),
    ],
)
def test_what_a_client_gets_wrong_changes_nothing(
    ann: Uploader, method: str, headers: dict[str, Any], status: int
) -> None:
    url = ann.begin(10)
    response = ann.ask(method, url, **headers)
    assert response.status_code == status
    assert response["Tus-Resumable"] == "1.0.0"
    assert response.get("Tus-Version", "") == ("1.0.0" if status == 412 else "")
    assert ann.offset(url) == 0
    assert UnfinishedUpload.objects.count() == 1


def test_more_than_was_announced_is_refused(ann: Uploader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP/2 a request need not say how much it brings."""

    def blocks(_request: object) -> Iterator[bytes]:
        yield from (b"12", b"34")

    monkeypatch.setattr(tus, "_blocks", blocks)
    url = ann.begin(3)
    assert ann.send(url, b"").status_code == 413
    assert ann.offset(url) == 2


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@pytest.mark.usefixtures("requests")
def test_of_a_request_with_a_wrong_checksum_nothing_is_kept(ann: Uploader, algorithm: str) -> None:
    """Also of one so large that it is written by several statements."""
    url = ann.begin()
    right = f"{algorithm} {base64_of(hashlib.new(algorithm, CONTENT[10:]).digest())}"
    assert ann.send(url, CONTENT[:10]).status_code == 204
    response = ann.send(url, CONTENT[11:] + b"x", 10, Upload_Checksum=right)
    assert (response.status_code, response.reason_phrase) == (460, "Checksum Mismatch")
    assert ann.offset(url) == 10
    assert ann.send(url, CONTENT[10:], 10, Upload_Checksum=right).status_code == 204
    assert stored(ann.client.post("/resumed/", {"data": url}).json()["data"]) == CONTENT


@pytest.mark.usefixtures("requests")
@pytest.mark.parametrize("has_checksum", [False, True])
def test_of_a_request_that_is_cut_is_kept_what_has_arrived(
    ann: Uploader, monkeypatch: pytest.MonkeyPatch, *, has_checksum: bool
) -> None:
    """With a checksum nothing is: nobody can tell whether it is right."""
    url, checksum = ann.begin(), f"sha1 {base64_of(hashlib.sha1(CONTENT).digest())}"
    read, arrived = HttpRequest.read, 0

    def cut(request: HttpRequest, *args: Any) -> bytes:
        nonlocal arrived
        # While a slow client sends, no transaction is open, whatever ATOMIC_REQUESTS says.
        assert connections["default"].in_atomic_block is has_checksum
        if arrived >= 5 * PART:
            raise UnreadablePostError
        data = read(request, *args)
        arrived += len(data)
        return data

    with monkeypatch.context() as patch:
        patch.setattr(HttpRequest, "read", cut)
        headers: dict[str, Any] = {"Upload_Checksum": checksum} if has_checksum else {}
        ann.send(url, CONTENT, **headers)
    offset = ann.offset(url)
    assert offset == (0 if has_checksum else 5 * PART)
    assert ann.send(url, CONTENT[offset:], offset).status_code == 204
    assert stored(ann.client.post("/resumed/", {"data": url}).json()["data"]) == CONTENT


def test_others_uploads_do_not_exist(ann: Uploader, bob: Uploader, nothing_is_left: NothingIsLeft) -> None:
    url = ann.whole()
    for response in (
        bob.ask("HEAD", url),
        bob.send(url, b"", SIZE),
        bob.ask("DELETE", url),
        *(ann.ask("HEAD", f"/up/{query}") for query in ("", "?upload=", "?upload=x", f"?upload={'0' * 32}")),
    ):
        assert response.status_code == 404
    assert bob.client.post("/resumed/", {"data": url}).status_code == 400
    assert ann.client.post("/resumed/", {"data": url}).status_code == 200
    nothing_is_left(files=1)


def test_who_is_not_signed_in_uploads_nothing(ann: Uploader) -> None:
    url = ann.whole()
    ann.client.logout()
    responses = [ann.ask("HEAD", url), ann.send(url, b"", SIZE), ann.ask("DELETE", url)]
    responses.append(ann.ask("POST", "/up/", Upload_Length=1))
    assert {response.status_code for response in responses} == {403}
    assert ann.client.post("/resumed/", {"data": url}).status_code == 400
    assert UnfinishedUpload.objects.count() == 1


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_it_is_protected_from_forged_requests(ann: Uploader, method: str) -> None:
    url = ann.begin(0)
    ann.client.handler.enforce_csrf_checks = True
    assert ann.ask(method, url, Upload_Length=1, Upload_Offset=0).status_code == 403
    ann.client.cookies["csrftoken"] = token = "a" * 32
    headers: dict[str, Any] = {"Upload_Length": 1, "Upload_Offset": 0, "X_CSRFToken": token}
    assert ann.ask(method, url, **headers).status_code in {201, 204}


@pytest.mark.parametrize("value", ["x", "=", "/up/?upload=", "0" * 32, "1.pdf"])
def test_a_form_that_names_no_upload_is_refused(ann: Uploader, value: str) -> None:
    assert ann.client.post("/resumed/", {"data": value}).status_code == 400
    assert not Invoice.objects.exists()


def test_a_form_takes_no_upload_that_is_not_whole(ann: Uploader) -> None:
    url = ann.begin()
    ann.send(url, CONTENT[:-1])
    assert ann.client.post("/resumed/", {"data": url}).status_code == 400
    ann.send(url, CONTENT[-1:], SIZE - 1)
    assert ann.client.post("/resumed/", {"data": url}).status_code == 200


def test_a_form_takes_files_too_or_none(ann: Uploader, nothing_is_left: NothingIsLeft) -> None:
    ann.client.post("/resumed/", {"data": SimpleUploadedFile("a.txt", b"a")})
    ann.client.post("/resumed/", {"data": ""})
    assert sorted(bool(invoice.data) for invoice in Invoice.objects.all()) == [False, True]
    nothing_is_left(files=1)


@pytest.mark.usefixtures("requests")
def test_after_an_invalid_form_it_is_still_there(ann: Uploader, nothing_is_left: NothingIsLeft) -> None:
    url = ann.whole()
    assert ann.client.post("/resumed/", {"data": url, "owner": "nobody"}).status_code == 422
    with transaction.atomic():
        assert ann.client.post("/resumed/", {"data": url}).status_code == 200
        transaction.set_rollback(True)
    assert stored(ann.client.post("/resumed/", {"data": url}).json()["data"]) == CONTENT
    nothing_is_left(files=1)


def test_one_that_is_deleted_is_unlinked(ann: Uploader, nothing_is_left: NothingIsLeft) -> None:
    for url in (ann.begin(), ann.whole()):
        assert ann.ask("DELETE", url).status_code == 204
        assert ann.ask("DELETE", url).status_code == 404
        assert ann.send(url, b"a").status_code == 404
    nothing_is_left()


def test_an_expired_one_is_gone(ann: Uploader, nothing_is_left: NothingIsLeft) -> None:
    url = ann.whole()
    UnfinishedUpload.objects.update(expires_at=Now())
    assert {ann.ask("HEAD", url).status_code, ann.send(url, b"", SIZE).status_code} == {410}
    assert ann.client.post("/resumed/", {"data": url}).status_code == 400
    call_command("largeobjects", "prune", "--yes", verbosity=0)
    nothing_is_left()


def test_one_that_goes_on_at_the_last_moment_is_not_pruned(ann: Uploader, monkeypatch: pytest.MonkeyPatch) -> None:
    url = ann.begin()

    def expired(_database: object) -> list[int]:
        return list(UnfinishedUpload.objects.values_list("loid", flat=True))

    monkeypatch.setattr("pg_lo_storage.catalogue.uploads.expired", expired)
    call_command("largeobjects", "prune", "--yes", verbosity=0)
    assert ann.send(url, b"a").status_code == 204


def test_each_byte_has_it_expire_later(ann: Uploader) -> None:
    url = ann.begin()
    UnfinishedUpload.objects.update(expires_at="9999-01-01T00:00Z")
    assert ann.send(url, b"a")["Upload-Expires"] < ann.ask("HEAD", ann.begin())["Upload-Expires"] + "x"
    assert UnfinishedUpload.objects.filter(expires_at__year=9999).count() == 0


def test_a_user_has_so_many_unfinished_uploads_of_such_a_size(bob: Uploader, nothing_is_left: NothingIsLeft) -> None:
    """What has expired is unlinked for the next one."""
    ann = Uploader("ann", "/limited/")
    urls = [ann.begin(1_000), ann.begin(1_000)]
    assert ann.ask("POST", ann.url, Upload_Length=1_001).status_code == 413
    assert ann.ask("POST", ann.url, Upload_Length=1).status_code == 429
    bob.ask("DELETE", bob.begin(1_001))
    UnfinishedUpload.objects.update(expires_at=Now())
    urls = [ann.begin(1_000), ann.begin(1_000)]
    assert UnfinishedUpload.objects.count() == 2
    for url in urls:
        ann.ask("DELETE", url)
    nothing_is_left()


def test_while_another_request_appends_it_is_locked(ann: Uploader, connection: RawConnection) -> None:
    url = ann.begin()
    run(connection, "select 1 from pg_lo_storage_upload for update")
    assert ann.send(url, b"a").status_code == 423
    connection.rollback()
    assert ann.offset(url) == 0
    assert ann.send(url, b"a").status_code == 204


@pytest.mark.parametrize(("method", "status"), [("PATCH", 409), ("DELETE", 404)])
def test_a_request_ends_where_another_has_gone_on(
    ann: Uploader, monkeypatch: pytest.MonkeyPatch, method: str, status: int
) -> None:
    """The connection of the first may seem to live long after its client has begun anew."""
    url = ann.begin()

    def rest(_request: object) -> Iterator[bytes]:
        yield CONTENT[10:]

    def blocks(_request: object) -> Iterator[bytes]:
        yield CONTENT[:10]
        with monkeypatch.context() as patch:
            patch.setattr(tus, "_blocks", rest)
            assert ann.ask(method, url, b"", Upload_Offset=10).status_code == 204
        yield CONTENT[10:20]

    with monkeypatch.context() as patch:
        patch.setattr(tus, "_blocks", blocks)
        assert ann.send(url, b"").status_code == status
    if method == "PATCH":
        assert stored(ann.client.post("/resumed/", {"data": url}).json()["data"]) == CONTENT


def test_one_whose_object_was_unlinked_is_gone(ann: Uploader, connection: RawConnection) -> None:
    url = ann.whole()
    run(connection, "select lo_unlink(loid) from pg_lo_storage_upload")
    connection.commit()
    assert {ann.ask("HEAD", url).status_code, ann.send(url, b"", SIZE).status_code} == {410}
    assert ann.client.post("/resumed/", {"data": url}).status_code == 400


@pytest.mark.usefixtures("requests")
def test_one_on_another_database_is_copied(bob: Uploader, count_large_objects: Callable[..., int]) -> None:
    bob.url = "/other/"
    url = bob.whole()
    assert [count_large_objects(), count_large_objects("other")] == [0, 1]
    assert stored(bob.client.post("/from-other/", {"data": url}).json()["data"]) == CONTENT
    assert bob.ask("DELETE", url).status_code == 204
    assert [count_large_objects(), count_large_objects("other")] == [1, 0]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/", "\n", "../../etc/passwd", "C:\\a.pdf", "a\0b.pdf", "x" * 900, "\u202egpj.exe"]
)
def test_no_name_does_harm(ann: Uploader, name: str) -> None:
    url = ann.whole(Upload_Metadata=of_file(name, "text/html\0"))
    assert ann.client.post("/resumed/", {"data": url}).status_code == 200
    original = StoredFile.objects.get().original_name
    assert not {"/", "\\", "\n"} & set(original)
    assert 0 < len(original) <= 255


def test_it_needs_users_and_the_catalogue() -> None:
    request = RequestFactory().post("/up/", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "1"})
    with pytest.raises(ImproperlyConfigured, match="AuthenticationMiddleware"):
        TusUpload.as_view()(request)
    with without_catalogue(), pytest.raises(ImproperlyConfigured, match="INSTALLED_APPS"):
        finished(request, "x")
