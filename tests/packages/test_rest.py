"""docs/packages.md: djangorestframework and django-ninja."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, override_settings
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from tests.packages.shop.models import Paper
from tests.packages.support import Oids, named, stored, uploaded

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_rest_api_creates_replaces_clears_and_deletes(client: Client, large_objects: Oids) -> None:
    created = client.post("/rest/papers/", {"title": "t", "file": uploaded("one")}).json()
    paper = Paper.objects.get()
    assert created["file"] == f"http://testserver/files/{paper.file.name}"
    assert b"".join(client.get(created["file"])) == b"one"

    change = encode_multipart(BOUNDARY, {"file": uploaded("two")})
    changed = client.patch(f"/rest/papers/{paper.pk}/", change, content_type=MULTIPART_CONTENT).json()
    assert b"".join(client.get(changed["file"])) == b"two"
    assert client.get(created["file"]).status_code == 404
    assert named() == large_objects()

    retitled = encode_multipart(BOUNDARY, {"title": "other"})
    client.patch(f"/rest/papers/{paper.pk}/", retitled, content_type=MULTIPART_CONTENT)
    assert Paper.objects.get().title == "other"
    assert stored(Paper.objects.get().file.name) == b"two"

    cleared = client.patch(
        f"/rest/papers/{paper.pk}/", encode_multipart(BOUNDARY, {"file": ""}), content_type=MULTIPART_CONTENT
    )
    assert cleared.json()["file"] is None
    assert large_objects() == set()

    client.patch(f"/rest/papers/{paper.pk}/", change, content_type=MULTIPART_CONTENT)
    assert len(large_objects()) == 1
    assert client.delete(f"/rest/papers/{paper.pk}/").status_code == 204
    assert large_objects() == set()


def test_an_invalid_request_stores_nothing(client: Client, large_objects: Oids) -> None:
    response = client.post("/rest/papers/", {"title": "t" * 101, "file": uploaded("one")})
    assert response.status_code == 400
    assert large_objects() == set()


@override_settings(
    FILE_UPLOAD_HANDLERS=["pg_lo_storage.uploadhandler.DbFileUploadHandler"], FILE_UPLOAD_MAX_MEMORY_SIZE=0
)
def test_uploads_straight_into_the_database_are_taken_over_or_unlinked(
    client: Client, large_objects: Oids, catalogue: bool
) -> None:
    if not catalogue:
        with pytest.raises(ImproperlyConfigured, match="INSTALLED_APPS"):
            client.post("/rest/papers/", {"title": "t", "file": uploaded("one")})
        return
    assert client.post("/rest/papers/", {"title": "t" * 101, "file": uploaded("one")}).status_code == 400
    assert large_objects() == set()
    created = client.post("/rest/papers/", {"title": "t", "file": uploaded("one")}).json()
    assert b"".join(client.get(created["file"])) == b"one"
    assert client.post("/ninja/papers", {"file": uploaded("two")}).status_code == 200
    assert named() == large_objects()
    assert len(large_objects()) == 2


def test_ninja_takes_and_tells_files(client: Client, large_objects: Oids) -> None:
    created = client.post("/ninja/papers", {"file": uploaded("one")}).json()
    assert b"".join(client.get(created["file"])) == b"one"
    replaced = client.post(f"/ninja/papers/{created['id']}", {"file": uploaded("two")}).json()
    assert client.get(f"/ninja/papers/{created['id']}").json() == replaced
    assert b"".join(client.get(replaced["file"])) == b"two"
    assert named() == large_objects()
    assert len(large_objects()) == 1
