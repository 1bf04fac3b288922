"""docs/packages.md: django-simple-history and django-reversion."""

import pytest
import reversion
from django.conf import LazySettings
from django.db import models
from django.test import Client
from django.urls import reverse
from reversion.models import Version

from tests.packages.shop.models import CleanedVersioned, CountedHistory, KeptHistory, Versioned
from tests.packages.support import Oids, named, oids_of, stored, text, uploaded

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("model", [KeptHistory, CountedHistory])
def test_simple_history_goes_back_to_a_version_with_its_file(model: type[models.Model], large_objects: Oids) -> None:
    row = model.objects.create(file=text("one"))
    for content in ("two", "three"):
        row.file = text(content)
        row.save()
    versions = [str(version.file) for version in row.history.order_by("pk")]
    assert [stored(name) for name in versions] == [b"one", b"two", b"three"]

    for number, content in ((0, b"one"), (1, b"two"), (2, b"three")):
        row.history.order_by("pk")[number].instance.save()
        assert stored(model.objects.get().file.name) == content
    assert large_objects() == oids_of(*versions)

    model.objects.get().delete()
    row.history.order_by("pk")[0].instance.save()
    assert stored(model.objects.get().file.name) == b"one"
    assert large_objects() == oids_of(*versions)


def test_simple_historys_admin_goes_back_to_a_version(editor: Client, large_objects: Oids) -> None:
    row = CountedHistory.objects.create(file=text("one"))
    row.file = text("two")
    row.save()
    url = reverse("admin:shop_countedhistory_simple_history", args=[row.pk, row.history.earliest().pk])
    assert editor.get(url).status_code == 200
    assert editor.post(url, {}).status_code == 302
    assert stored(CountedHistory.objects.get().file.name) == b"one"
    assert len(large_objects()) == 2


def test_a_file_that_no_version_names_goes(large_objects: Oids) -> None:
    row = CountedHistory(file=text("one"))
    row.save_without_historical_record()
    row.file = text("two")
    row.save()
    assert large_objects() == oids_of(row.file.name)


def test_files_of_versions_that_are_deleted_after_their_row_stay(large_objects: Oids) -> None:
    row = CountedHistory.objects.create(file=text("one"))
    row.file = text("two")
    row.save()
    history = row.history.all()
    CountedHistory.objects.all().delete()
    names = oids_of(*[str(version.file) for version in history])
    history.delete()
    assert large_objects() == names


def test_without_either_a_version_whose_file_is_gone_does_not_come_back(
    editor: Client, large_objects: Oids, settings: LazySettings
) -> None:
    settings.PG_LO_STORAGE_REFERENCES = []
    row = CountedHistory.objects.create(file=text("one"))
    row.file = text("two")
    row.save()
    version = row.history.earliest()
    with pytest.raises(FileNotFoundError):
        version.instance.save()
    url = reverse("admin:shop_countedhistory_simple_history", args=[row.pk, version.pk])
    page = editor.post(url, {}).content.decode()
    assert version.file in page
    assert "errorlist" in page
    assert stored(CountedHistory.objects.get().file.name) == b"two"
    assert large_objects() == named()


def versions_of(model: type[models.Model]) -> list[Version]:
    """Return the two versions of a new row, whose file was replaced between them, the first one first."""
    with reversion.create_revision():
        row = model.objects.create(file=text("one"))
    with reversion.create_revision():
        row.file = text("two")
        row.save()
    return list(Version.objects.get_for_object(row).order_by("pk"))


def test_reversion_goes_back_to_a_version_with_its_file(large_objects: Oids) -> None:
    first, second = versions_of(Versioned)
    first.revision.revert()
    assert stored(Versioned.objects.get().file.name) == b"one"
    second.revision.revert()
    assert stored(Versioned.objects.get().file.name) == b"two"

    Versioned.objects.get().delete()
    [deleted] = Version.objects.get_deleted(Versioned)
    deleted.revision.revert()
    assert stored(Versioned.objects.get().file.name) == b"two"
    assert large_objects() == oids_of(first.field_dict["file"].name, second.field_dict["file"].name)


def test_reversions_admin_shows_and_reverts(editor: Client, large_objects: Oids) -> None:
    url = reverse("admin:shop_versioned_add")
    assert editor.post(url, {"file": uploaded("one")}).status_code == 302
    row = Versioned.objects.get()
    url = reverse("admin:shop_versioned_change", args=[row.pk])
    assert editor.post(url, {"file": uploaded("two")}).status_code == 302
    oldest = Version.objects.get_for_object(row).last()

    url = reverse("admin:shop_versioned_revision", args=[row.pk, oldest.pk])
    assert oldest.field_dict["file"].name in editor.get(url).content.decode()
    assert stored(Versioned.objects.get().file.name) == b"two"
    assert editor.post(url, {}).status_code == 302
    assert stored(Versioned.objects.get().file.name) == b"one"

    editor.post(reverse("admin:shop_versioned_delete", args=[row.pk]), {"post": "yes"})
    deleted = Version.objects.get_deleted(Versioned).get()
    assert editor.post(reverse("admin:shop_versioned_recover", args=[deleted.pk]), {}).status_code == 302
    assert stored(Versioned.objects.get().file.name) == b"one"
    assert len(large_objects()) == 2


def test_files_of_reversions_versions_stay_until_they_are_deleted_by_name(large_objects: Oids) -> None:
    first, second = versions_of(Versioned)
    names = [first.field_dict["file"].name, second.field_dict["file"].name]
    Versioned.objects.get().delete()
    Version.objects.all().delete()
    assert large_objects() == oids_of(*names)
    for name in names:
        Versioned._meta.get_field("file").storage.delete(name)
    assert large_objects() == set()


def test_of_a_cleaned_field_reversion_is_refused_a_version_whose_file_is_gone(large_objects: Oids) -> None:
    first, second = versions_of(CleanedVersioned)
    with pytest.raises(FileNotFoundError):
        first.revision.revert()
    assert stored(CleanedVersioned.objects.get().file.name) == b"two"
    second.revision.revert()
    assert stored(CleanedVersioned.objects.get().file.name) == b"two"
    assert large_objects() == named()
