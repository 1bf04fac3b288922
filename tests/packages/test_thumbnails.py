"""docs/packages.md: easy-thumbnails, sorl-thumbnail and django-imagekit."""

from collections.abc import Callable
from pathlib import Path

import easy_thumbnails.files
import easy_thumbnails.storage
import pytest
from django.conf import settings
from django.db import transaction
from django.template import Context, Template
from django.test import override_settings
from easy_thumbnails.files import get_thumbnailer
from sorl.thumbnail import default as sorl_default
from sorl.thumbnail import delete as sorl_delete

from pg_lo_storage.signals import file_unlinked
from pg_lo_storage.storage import db_file_storage
from tests.packages.shop.models import Photo, Portrait
from tests.packages.shop.receivers import drop_thumbnails_of_easy, drop_thumbnails_of_sorl
from tests.packages.support import Oids, color_of, named, oids_of, picture, stored

pytestmark = pytest.mark.django_db(transaction=True)

EASY = "{% load easy_thumbnails_tags %}{% thumbnail photo.image 16x16 %}"
SORL = '{% load sorl %}{% thumbnail photo.image "16x16" as small %}{{ small.url }}{% endthumbnail %}'
IMAGEKIT = "{{ photo.small.url }}"
RED, BLUE = (255, 0, 0), (0, 0, 255)


def page(template: str) -> str:
    """Return the URL that a page shows of the only photo."""
    return Template(template).render(Context({"photo": Photo.objects.get()}))


def on_disk(url: str) -> Path:
    assert url.startswith("/derived/")
    return Path(settings.STORAGES["derived"]["OPTIONS"]["location"], url.removeprefix("/derived/"))


@pytest.mark.parametrize("template", [EASY, SORL, IMAGEKIT], ids=["easy_thumbnails", "sorl", "imagekit"])
def test_pages_show_thumbnails_on_a_disk(template: str, large_objects: Oids) -> None:
    photo = Photo.objects.create(image=picture("red"))
    url = page(template)
    assert page(template) == url
    assert color_of(on_disk(url).read_bytes()) == pytest.approx(RED, abs=4)
    assert large_objects() == oids_of(photo.image.name)

    photo.image = picture("blue")
    photo.save()
    assert color_of(on_disk(page(template)).read_bytes()) == pytest.approx(BLUE, abs=4)
    assert large_objects() == oids_of(photo.image.name) == named()
    assert color_of(stored(photo.image.name)) == BLUE
    photo.delete()
    assert large_objects() == set()
    assert on_disk(url).exists()


@pytest.mark.parametrize(
    ("template", "receiver"),
    [(EASY, drop_thumbnails_of_easy), (SORL, drop_thumbnails_of_sorl)],
    ids=["easy_thumbnails", "sorl"],
)
def test_a_receiver_of_file_unlinked_drops_thumbnails_of_what_is_gone(
    template: str, receiver: Callable[..., None]
) -> None:
    photo = Photo.objects.create(image=picture("red"))
    first = on_disk(page(template))
    file_unlinked.connect(receiver)
    try:
        with transaction.atomic():
            photo.image = picture("blue")
            photo.save()
            assert first.exists()
        assert not first.exists()
        second = on_disk(page(template))
        with transaction.atomic():
            photo.delete()
            transaction.set_rollback(True)
        assert second.exists()
        Photo.objects.all().delete()
        assert not second.exists()
    finally:
        file_unlinked.disconnect(receiver)


def test_with_a_field_of_easy_thumbnails_and_django_cleanup_thumbnails_go_too(large_objects: Oids) -> None:
    portrait = Portrait.objects.create(thumbed=picture("red"))
    first = Path(portrait.thumbed.get_thumbnail({"size": (16, 16)}).path)
    assert color_of(first.read_bytes()) == pytest.approx(RED, abs=4)
    portrait.thumbed = picture("blue")
    portrait.save()
    assert not first.exists()
    assert large_objects() == named() == oids_of(portrait.thumbed.name)
    second = Path(portrait.thumbed.get_thumbnail({"size": (16, 16)}).path)
    assert color_of(second.read_bytes()) == pytest.approx(BLUE, abs=4)
    portrait.delete()
    assert not second.exists()
    assert large_objects() == set()


def test_imagekits_field_stores_the_processed_image(large_objects: Oids) -> None:
    portrait = Portrait.objects.create(processed=picture("red"))
    assert (portrait.processed.width, portrait.processed.height) == (8, 8)
    assert color_of(stored(portrait.processed.name)) == RED
    portrait.processed = picture("blue")
    portrait.save()
    assert color_of(stored(Portrait.objects.get().processed.name)) == BLUE
    assert large_objects() == named()


def test_easy_thumbnails_deletes_its_thumbnails_and_no_picture(large_objects: Oids) -> None:
    photo = Photo.objects.create(image=picture("red"))
    thumbnail = on_disk(page(EASY))
    assert get_thumbnailer(photo.image).delete_thumbnails() == 1
    assert not thumbnail.exists()
    assert color_of(stored(photo.image.name)) == RED
    assert large_objects() == named()


def test_sorl_deletes_its_thumbnails_and_no_picture(large_objects: Oids) -> None:
    photo = Photo.objects.create(image=picture("red"))
    thumbnail = on_disk(page(SORL))
    sorl_delete(photo.image, delete_file=False)
    assert not thumbnail.exists()
    assert color_of(stored(photo.image.name)) == RED
    assert large_objects() == named()


def test_easy_thumbnails_kept_as_large_objects_are_not_found_again(
    catalogue: bool, large_objects: Oids, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(easy_thumbnails.storage, "thumbnail_default_storage", db_file_storage)
    photo = Photo.objects.create(image=picture("red"))
    url = page(EASY)
    # Without the catalogue a derived name may be read, and is the picture itself; nothing changes or deletes by it.
    assert db_file_storage.exists(url.removeprefix("/files/")) is not catalogue
    assert len(large_objects()) == 2
    assert color_of(stored(photo.image.name)) == RED
    get_thumbnailer(photo.image).delete_thumbnails()
    assert color_of(stored(photo.image.name)) == RED


def test_sorl_makes_an_object_for_each_page(large_objects: Oids, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorl_default.storage, "_wrapped", db_file_storage)
    photo = Photo.objects.create(image=picture("red"))
    urls = [page(SORL) for _ in range(3)]
    assert len(set(urls)) == 3
    assert len(large_objects()) == 4
    assert color_of(stored(photo.image.name)) == RED


@override_settings(IMAGEKIT_DEFAULT_FILE_STORAGE="default")
def test_imagekit_does_not_find_its_large_objects_again(large_objects: Oids) -> None:
    photo = Photo.objects.create(image=picture("red"))
    url = page(IMAGEKIT)
    assert len(large_objects()) == 2
    assert not db_file_storage.exists(url.removeprefix("/files/"))
    assert color_of(stored(photo.image.name)) == RED
