"""Under the driver that encrypts, Django has the right bytes on every path, and the server never has one."""

import base64
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connections, transaction
from django.test import Client, RequestFactory, override_settings

from example.cluster import Cluster, Server
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.drivers import get_driver
from pg_lo_storage.storage import DbFileIO, db_file_storage
from pg_lo_storage.views import DbFileView
from tests.fixtures.connections import Connect
from tests.invoices.models import Invoice
from tests.storage.support import LARGE, body, content, loid_of, stored

pytestmark = pytest.mark.django_db(transaction=True)

SMALL = 60_000  # several blocks, saved in one call
Search = Callable[[bytes], set[str]]


@pytest.fixture
def secret() -> bytes:
    """What no other test has."""
    return os.urandom(24)


def holding(secret: bytes, size: int) -> bytes:
    """Return bytes with the secret in each part of them."""
    data = bytearray(content(size))
    for start in range(100, size - len(secret), 1000):
        data[start : start + len(secret)] = secret
    return bytes(data)


@pytest.fixture(params=["example.drivers.lo_encrypted.EncryptingDriver"])
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("LARGE_OBJECT_KEY", os.urandom(32).hex())
    with override_settings(PG_LO_STORAGE_DRIVER=request.param):
        yield request.param


@pytest.fixture
def found_in_the_server(server: Server, connect: Connect) -> Iterator[Search]:
    """Return a search of the server's files for a secret; it logs each statement."""
    if not isinstance(server, Cluster):
        pytest.skip("PG_LO_TEST_DSN does not give the server's files")
    superuser = connect(user="postgres", autocommit=True)
    superuser.cursor().execute("alter role app set log_statement = 'all'")
    connections.close_all()
    began = time.time() - 2  # a file system's clock is coarse

    def search(secret: bytes) -> set[str]:
        spellings = (secret, secret.hex().encode(), base64.b64encode(secret))
        connections.close_all()
        superuser.cursor().execute("checkpoint")
        looked, found = set[str](), set[str]()
        for path in server.folder.rglob("*"):
            with suppress(FileNotFoundError):  # the server removes some by itself
                if path.is_file() and path.stat().st_mtime >= began:
                    looked |= {*path.parts}
                    written = path.read_bytes()
                    if any(spelled in written for spelled in spellings):
                        found.add(str(path.relative_to(server.folder)))
        assert {"server.log", "pg_wal", "base"} <= looked
        return found

    yield search
    superuser.cursor().execute("alter role app reset log_statement")
    connections.close_all()


@pytest.mark.parametrize("driver", ["pg_lo_storage.drivers.DriverWrapper"], indirect=True)
@pytest.mark.usefixtures("driver")
def test_what_is_not_encrypted_is_found(found_in_the_server: Search, secret: bytes) -> None:
    db_file_storage.save("a.pdf", ContentFile(holding(secret, SMALL)))
    assert {place.split("/")[1] for place in found_in_the_server(secret) if "/" in place} >= {"base", "pg_wal"}


@pytest.mark.usefixtures("driver")
def test_no_path_leads_a_byte_into_the_server(found_in_the_server: Search, secret: bytes, catalogue: bool) -> None:
    contents = [holding(secret, size) for size in (SMALL, LARGE)]
    names = [name for data in contents for name in made_on_each_path(data, catalogue=catalogue)]
    connections["default"].ensure_connection()
    below = get_driver(connections["default"].connection)
    for name in names:
        assert secret in stored(name)
        assert secret not in below.get(loid_of(name), 0, 1 << 22)
    assert found_in_the_server(secret) == set()


def made_on_each_path(data: bytes, *, catalogue: bool) -> Iterator[str]:
    """Store the data on each path there is, see that each gives it back, and yield the names."""
    for made in (saved, saved_with_a_row, written_in_place, through_a_url):
        name = made(data)
        assert_is_read_on_each_path(name, data)
        if catalogue:
            assert_the_catalogue_knows(name, data)
        yield name


def saved(data: bytes) -> str:
    return db_file_storage.save("a.pdf", ContentFile(data))


def saved_with_a_row(data: bytes) -> str:
    invoice = Invoice.objects.create(data=ContentFile(b"before", name="a.pdf"))
    invoice.data = ContentFile(data, name="b.pdf")
    invoice.save()
    invoice.refresh_from_db()
    with invoice.data.open() as file:
        assert file.read() == data
    return invoice.data.name or ""


def written_in_place(data: bytes) -> str:
    with transaction.atomic(), DbFileIO(0, "wb", name="a.pdf") as made:
        made.write(data[:20_000])
    with transaction.atomic(), db_file_storage.open(made.name, "ab") as file:
        file.write(data[20_000:])
    with transaction.atomic(), db_file_storage.open(made.name, "rb+") as file:
        file.seek(5_000)
        file.write(data[5_000:30_000])
    return made.name


def through_a_url(data: bytes) -> str:
    fs = PgLoFileSystem(alias="default")
    name = saved(b"before")
    fs.pipe_file(name, data)
    assert fs.cat_file(name, start=1000, end=40_000) == data[1000:40_000]
    return name


def assert_is_read_on_each_path(name: str, data: bytes) -> None:
    assert db_file_storage.size(name) == len(data)
    with db_file_storage.open(name) as file:
        assert b"".join(file.chunks(10_000)) == data
        file.seek(-30_000, io.SEEK_END)
        assert file.read(10) == data[-30_000:][:10]
    with transaction.atomic(), DbFileIO(loid_of(name)) as file:
        assert file.read() == data
    url = db_file_storage.url(name)
    assert body(Client().get(url)) == data
    assert Client().head(url).headers["Content-Length"] == str(len(data))
    response = Client().get(url, headers={"range": f"bytes=17000-{len(data) - 7}"})
    assert (response.status_code, body(response)) == (206, data[17_000:-6])
    parts = body(Client().get(url, headers={"range": "bytes=0-99,20000-40000"}))
    assert data[:100] in parts
    assert data[20_000:40_001] in parts
    Invoice.objects.get_or_create(data=name)
    view: Any = DbFileView.as_view(model=Invoice, field="data")
    assert body(view(RequestFactory().get("/"), filename=name)) == data


def assert_the_catalogue_knows(name: str, data: bytes) -> None:
    entry = db_file_storage.entry(name)
    assert entry.size in {len(data), None}
    assert db_file_storage.verify(name) is (None if entry.sha256 is None else True)
    admin = Client()
    admin.force_login(User.objects.get_or_create(username="admin", is_staff=True, is_superuser=True)[0])
    page = f"/admin/pg_lo_storage/storedfile/{loid_of(name)}/"
    assert admin.get(f"{page}change/").status_code == 200
    assert body(admin.get(f"{page}content/")) == data
