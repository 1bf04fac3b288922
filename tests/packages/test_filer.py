"""docs/packages.md: django-filer."""

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import reverse
from filer.models import File, Image

from tests.packages.support import Oids, color_of, named, oids_of, picture, stored, uploaded

pytestmark = pytest.mark.django_db(transaction=True)


def add(editor: Client, file: SimpleUploadedFile) -> File:
    response = editor.post(reverse("admin:filer-ajax_upload"), {"file": file})
    assert response.status_code == 200, response.content
    assert "error" not in response.json()
    return File.objects.get()


def test_a_public_file_is_added_served_and_deleted(editor: Client, large_objects: Oids) -> None:
    file = add(editor, uploaded("one", "terms.txt"))
    assert (file.original_filename, file.size, file.is_public) == ("terms.txt", 3, True)
    assert b"".join(Client().get(file.canonical_url, follow=True)) == b"one"
    assert large_objects() == oids_of(file.file.name)
    file.delete()
    assert large_objects() == set()


def test_a_file_becomes_private_and_nobody_else_reads_it(editor: Client, large_objects: Oids) -> None:
    file = add(editor, uploaded("one", "terms.txt"))
    with transaction.atomic():
        file.is_public = False
        file.save()
        transaction.set_rollback(True)
    file = File.objects.get()
    assert file.is_public
    assert b"".join(Client().get(file.url)) == b"one"

    public = file.url
    file.is_public = False
    file.save()
    file = File.objects.get()
    assert b"".join(editor.get(file.url)) == b"one"
    assert Client().get(file.url).status_code == 404
    assert Client().get(public).status_code == 404
    assert Client().get(f"/public/{file.file.name}").status_code == 404
    assert large_objects() == oids_of(file.file.name)


def test_an_image_has_its_thumbnails_on_disk(editor: Client, large_objects: Oids) -> None:
    image = add(editor, picture("red"))
    assert isinstance(image, Image)
    assert (image.width, image.height) == (64, 48)
    thumbnail = Path(image.file.get_thumbnail({"size": (16, 16)}).path)
    assert color_of(thumbnail.read_bytes()) == pytest.approx((255, 0, 0), abs=4)
    assert editor.get(reverse("admin:filer_image_change", args=[image.pk])).status_code == 200
    assert large_objects() == oids_of(image.file.name)
    image.delete()
    assert large_objects() == set()


def test_a_file_that_is_replaced_in_the_admin_goes(editor: Client, large_objects: Oids) -> None:
    file = add(editor, uploaded("one", "terms.txt"))
    url = reverse("admin:filer_file_change", args=[file.pk])
    response = editor.post(url, {"owner": file.owner_id, "name": "n", "file": uploaded("two", "terms.txt")})
    assert response.status_code == 302, response.content
    assert stored(File.objects.get().file.name) == b"two"
    assert large_objects() == named()
