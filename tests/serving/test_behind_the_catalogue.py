"""A file that was changed by somebody who does not know the catalogue: what is promised is what comes."""

import hashlib

import pytest
from django.core.files.base import ContentFile
from django.db import connections
from django.http import HttpResponseBase
from django.test import Client

from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import db_file_storage
from pg_lo_storage.storage.saving import SMALL
from tests.fixtures.connections import Connect, run
from tests.serving.test_serve import REQUESTS
from tests.storage.support import LARGE, body, content, loid_of

CATALOGUE = [True]
pytestmark = pytest.mark.django_db(transaction=True)

SIZES = [0, 10, SMALL, LARGE]


def ask(name: str, method: str = "GET", **headers: str) -> HttpResponseBase:
    return Client().generic(method, f"/files/{name}", headers={key.replace("_", "-"): headers[key] for key in headers})


def changed(before: int, after: int) -> str:
    """Return the name of a file whose object has another size than its entry says."""
    name = db_file_storage.save("a.pdf", ContentFile(content(before)))
    with connections["default"].cursor() as cursor:
        cursor.execute("select lo_unlink(%s::oid)", [loid_of(name)])
        cursor.execute("select lo_from_bytea(%s::oid, %s)", [loid_of(name), content(after)])
    return name


@pytest.mark.parametrize(("before", "after"), [(a, b) for a in SIZES for b in SIZES if a != b])
def test_all_answers_have_the_size_of_what_is_there(before: int, after: int) -> None:
    name, data = changed(before, after), content(after)
    get, head = ask(name), ask(name, "HEAD")
    assert body(get) == data
    assert dict(head.headers) == dict(get.headers)
    assert get.headers["Content-Length"] == str(after)
    part = ask(name, range="bytes=-3")
    assert (part.status_code, body(part)) == ((206, data[-3:]) if data else (416, b""))
    several = ask(name, range=f"bytes=0-0,{before}-")
    assert len(body(several)) == int(several.headers.get("Content-Length", 0))
    assert db_file_storage.size(name) == after


def test_nothing_says_that_it_is_what_was_saved() -> None:
    saved = ask(db_file_storage.save("a.pdf", ContentFile(content(10))))
    assert hashlib.sha256(content(10)).hexdigest() in saved.headers["ETag"]
    name = changed(10, 11)
    validators = {"if_none_match": saved.headers["ETag"], "want_repr_digest": "sha-256=1"}
    response = ask(name, **validators)
    assert (response.status_code, body(response)) == (200, content(11))
    assert "Repr-Digest" not in response.headers
    part = ask(name, range="bytes=0-1", if_range=saved.headers["ETag"])
    assert (part.status_code, body(part)) == (200, content(11))
    part = ask(name, range="bytes=0-1", if_range=saved.headers["Last-Modified"])
    assert (part.status_code, body(part)) == (200, content(11))


def test_a_file_whose_object_the_role_may_not_read_is_not_found(connect: Connect) -> None:
    stranger = connect(user="stranger", autocommit=True)
    [(loid,)] = run(stranger, "select lo_from_bytea(0, 'secret')")
    StoredFile.objects.create(loid=loid, extension=".pdf", size=6, sha256=hashlib.sha256(b"secret").hexdigest())
    for method, headers in REQUESTS:
        response = Client().generic(method, f"/files/{loid}.pdf", headers=headers)
        assert response.status_code == 404
        assert b"secret" not in body(response)
