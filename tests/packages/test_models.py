"""docs/packages.md: django-safedelete, django-polymorphic and django-modeltranslation."""

import pytest
from django.forms import modelform_factory
from django.utils.translation import override
from safedelete.models import HARD_DELETE

from tests.packages.shop.models import Contract, Document, Leaflet, SoftDeleted
from tests.packages.support import Oids, named, oids_of, stored, text, uploaded

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_soft_deleted_row_keeps_its_file_and_a_hard_deleted_one_does_not(large_objects: Oids) -> None:
    row = SoftDeleted.objects.create(file=text("one"))
    row.delete()
    assert not SoftDeleted.objects.exists()
    assert len(large_objects()) == 1
    SoftDeleted.deleted_objects.get().undelete()
    assert stored(SoftDeleted.objects.get().file.name) == b"one"
    row = SoftDeleted.objects.get()
    row.file = text("two")
    row.save()
    assert large_objects() == oids_of(row.file.name)
    SoftDeleted.objects.all().delete()
    assert stored(SoftDeleted.all_objects.get().file.name) == b"two"
    SoftDeleted.all_objects.get().delete(force_policy=HARD_DELETE)
    assert large_objects() == set()


def test_a_file_that_a_soft_deleted_row_names_stays() -> None:
    row = SoftDeleted.objects.create(file=text("one"))
    SoftDeleted.objects.create(file=row.file.name).delete()
    row.delete(force_policy=HARD_DELETE)
    assert stored(SoftDeleted.deleted_objects.get().file.name) == b"one"


def test_files_in_the_tables_of_a_polymorphic_parent_and_child(large_objects: Oids) -> None:
    Document.objects.create(file=text("plain"))
    Contract.objects.create(file=text("one"), signature=text("me"))
    contract = Document.objects.instance_of(Contract).get()
    assert (stored(contract.file.name), stored(contract.signature.name)) == (b"one", b"me")
    contract.signature = text("you")
    contract.save()
    assert (stored(contract.file.name), stored(contract.signature.name)) == (b"one", b"you")
    assert named() == large_objects()
    assert len(large_objects()) == 3
    Document.objects.all().delete()
    assert large_objects() == set()


def test_a_form_of_a_file_for_each_language(large_objects: Oids) -> None:
    form_class = modelform_factory(Leaflet, fields=["file_en", "file_de"])
    form = form_class({}, {"file_en": uploaded("english"), "file_de": uploaded("deutsch")})
    form.save()
    leaflet = Leaflet.objects.get()
    assert (stored(leaflet.file_en.name), stored(leaflet.file_de.name)) == (b"english", b"deutsch")
    assert stored(leaflet.file.name) == b"english"
    with override("de"):
        assert stored(leaflet.file.name) == b"deutsch"
    assert named() == large_objects()
    assert len(large_objects()) == 2

    form_class({}, {"file_de": uploaded("neu")}, instance=leaflet).save()
    leaflet = Leaflet.objects.get()
    assert (stored(leaflet.file_en.name), stored(leaflet.file_de.name)) == (b"english", b"neu")
    assert named() == large_objects()
    assert len(large_objects()) == 2
    leaflet.delete()
    assert large_objects() == set()


def test_the_current_language_file_is_replaced_and_cleared(large_objects: Oids) -> None:
    leaflet = Leaflet.objects.create(file=text("english"))
    with override("de"):
        leaflet.file = text("deutsch")
        leaflet.save()
    leaflet = Leaflet.objects.get()
    assert (stored(leaflet.file_en.name), stored(leaflet.file_de.name)) == (b"english", b"deutsch")
    leaflet.file = text("other")
    leaflet.save()
    leaflet = Leaflet.objects.get()
    assert (stored(leaflet.file_en.name), stored(leaflet.file_de.name)) == (b"other", b"deutsch")
    assert named() == large_objects()
    assert len(large_objects()) == 2
    leaflet.file_en = None
    leaflet.save()
    with override("de"):
        Leaflet.objects.get().file.delete()
    assert named() == large_objects()
    assert large_objects() == set()
