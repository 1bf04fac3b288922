"""docs/packages.md: wagtail's documents and images."""

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from wagtail.documents.models import Document
from wagtail.images.models import Image, Rendition
from wagtail.models import Collection, CollectionViewRestriction, Locale

from pg_lo_storage.storage import db_file_storage
from tests.packages.support import Oids, color_of, named, oids_of, picture, stored, text, uploaded

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _made_by_wagtails_migrations() -> None:
    Locale.objects.create(language_code="en")
    Collection.add_root(name="Root")


def rendition_of(image: Image) -> bytes:
    with image.get_rendition("fill-8x8").file.open() as file:
        return file.read()


def test_a_document_is_added_served_replaced_and_deleted(editor: Client, large_objects: Oids) -> None:
    root = str(Collection.objects.get().pk)
    values = {"title": "Terms", "collection": root, "tags": ""}
    response = editor.post(reverse("wagtaildocs:add"), values | {"file": uploaded("one", "terms.txt")})
    assert response.status_code == 302, response.content
    document = Document.objects.get()
    assert document.file_size == 3
    served = Client().get(document.url)
    assert b"".join(served) == b"one"
    assert large_objects() == oids_of(document.file.name)

    editor.post(reverse("wagtaildocs:edit", args=[document.pk]), values | {"file": uploaded("two!", "terms.txt")})
    document = Document.objects.get()
    assert b"".join(Client().get(document.url)) == b"two!"
    assert named() == large_objects()

    editor.post(reverse("wagtaildocs:delete", args=[document.pk]))
    assert not Document.objects.exists()
    assert large_objects() == set()


def test_in_atomic_requests_a_replacement_that_fails_leaves_the_document_as_it_was(
    editor: Client, large_objects: Oids, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_document: Document) -> None:
        raise RuntimeError

    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    values = {"title": "Terms", "collection": str(Collection.objects.get().pk), "tags": ""}
    editor.post(reverse("wagtaildocs:add"), values | {"file": uploaded("one", "terms.txt")})
    document = Document.objects.get()
    monkeypatch.setattr("wagtail.documents.forms.search_index.insert_or_update_object", fail)
    with pytest.raises(RuntimeError):
        editor.post(reverse("wagtaildocs:edit", args=[document.pk]), values | {"file": uploaded("two!", "terms.txt")})
    assert stored(Document.objects.get().file.name) == b"one"
    assert large_objects() == named()


@pytest.mark.parametrize("atomic", [False, True], ids=["autocommit", "ATOMIC_REQUESTS"])
def test_documents_are_served_in_parts_and_only_to_those_who_may_read_them(
    atomic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic)
    root = Collection.objects.get()
    content = "0123456789" * 100_000
    document = Document.objects.create(title="Terms", file=text(content, "terms.txt"), collection=root)
    assert b"".join(Client().get(document.url)) == content.encode()
    part = Client().get(document.url, headers={"Range": "bytes=999995-"})
    assert (part.status_code, b"".join(part)) == (206, b"56789")

    CollectionViewRestriction.objects.create(collection=root, restriction_type=CollectionViewRestriction.LOGIN)
    assert Client().get(document.url).status_code == 302


def test_an_image_is_added_rendered_replaced_and_deleted(editor: Client, large_objects: Oids) -> None:
    root = str(Collection.objects.get().pk)
    values = {"title": "Flag", "collection": root, "tags": ""}
    response = editor.post(reverse("wagtailimages:add"), values | {"file": picture("red")})
    assert response.status_code == 302, response.content
    image = Image.objects.get()
    assert color_of(rendition_of(image)) == (255, 0, 0)
    assert large_objects() == oids_of(image.file.name)

    editor.post(reverse("wagtailimages:edit", args=[image.pk]), values | {"file": picture("blue")})
    image = Image.objects.get()
    assert color_of(rendition_of(image)) == (0, 0, 255)
    assert named() == large_objects()

    editor.post(reverse("wagtailimages:delete", args=[image.pk]))
    assert not Image.objects.exists()
    assert large_objects() == set()


def test_renditions_in_large_objects_go_with_their_image(
    editor: Client, large_objects: Oids, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rendition._meta.get_field("file"), "storage", db_file_storage)
    values = {"title": "Flag", "collection": str(Collection.objects.get().pk), "tags": ""}
    editor.post(reverse("wagtailimages:add"), values | {"file": picture("red")})
    image = Image.objects.get()
    assert color_of(rendition_of(image)) == (255, 0, 0)
    assert rendition_of(image) == rendition_of(Image.objects.get())
    assert len(large_objects()) == 2

    editor.post(reverse("wagtailimages:edit", args=[image.pk]), values | {"file": picture("blue")})
    assert color_of(rendition_of(Image.objects.get())) == (0, 0, 255)
    assert large_objects() == named()
    editor.post(reverse("wagtailimages:delete", args=[image.pk]))
    assert large_objects() == set()
