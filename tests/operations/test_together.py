"""The field's own cleanup and the triggers, on the same column: each file is unlinked once, and only when it may be."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import models
from django.test import override_settings

from pg_lo_storage.operations import ManageLargeObjects
from pg_lo_storage.storage import db_file_storage
from tests.operations.support import Project, files, loids, names

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows(project: Project, catalogue_table: bool) -> "Iterator[models.Manager[Any]]":
    """The rows of a managed table, whose field cleans up too, in a project that has the catalogue or has not."""
    installed = [app for app in settings.INSTALLED_APPS if catalogue_table or app != "pg_lo_storage"]
    with override_settings(INSTALLED_APPS=installed):
        project.table("Invoice", {"data": names()})
        project.apply(ManageLargeObjects("invoice", "data"))
        yield project.state.apps.get_model(project.label, "Invoice")._base_manager


def upload(text: str = "a") -> "ContentFile[bytes]":
    return ContentFile(text.encode(), "a.txt")


def test_replace_and_clear(rows: "models.Manager[Any]") -> None:
    row = rows.create(data=upload())
    row.data = upload("b")
    row.save()
    assert files() == loids(rows.get().data.name)
    row.data = ""
    row.save()
    assert files() == set()


def test_copy_and_delete(rows: "models.Manager[Any]") -> None:
    row = rows.create(data=upload())
    copy = rows.get()
    copy.pk = None
    copy.save()
    assert copy.data.name == row.data.name
    row.delete()
    assert files() == loids(copy.data.name)
    with db_file_storage.open(copy.data.name) as file:
        assert file.read() == b"a"
    copy.delete()
    assert files() == set()


def test_querysets(rows: "models.Manager[Any]") -> None:
    kept = rows.create(data=upload())
    for _ in range(5):
        rows.create(data=upload())
    rows.filter(pk=kept.pk + 1).update(data="")
    rows.filter(pk=kept.pk + 2).update(data=kept.data.name)
    rows.exclude(pk=kept.pk).delete()
    assert files() == loids(kept.data.name)
