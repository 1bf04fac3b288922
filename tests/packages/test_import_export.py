"""docs/packages.md: django-import-export."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings
from django.urls import reverse
from import_export.resources import ModelResource
from import_export.results import Result
from tablib import Dataset

from tests.packages.shop.models import Paper
from tests.packages.support import Oids, named, stored, text

pytestmark = pytest.mark.django_db(transaction=True)


class PaperResource(ModelResource):
    class Meta:
        model = Paper


def exported() -> str:
    return str(PaperResource().export().csv)


def imported(csv: str) -> Result:
    return PaperResource().import_data(Dataset().load(csv, format="csv"))


def refused(csv: str) -> bool:
    """Tell whether the only row is refused for its file."""
    [(_, [error])] = imported(csv).row_errors()
    return isinstance(error.error, FileNotFoundError)


def test_names_go_out_and_come_in_again(large_objects: Oids) -> None:
    paper = Paper.objects.create(title="a", file=text("one"))
    before = exported()
    assert paper.file.name in before
    paper.title = "b"
    paper.save()
    result = imported(before)
    assert not result.has_errors()
    assert Paper.objects.get().title == "a"
    assert stored(Paper.objects.get().file.name) == b"one"
    assert named() == large_objects()


def test_an_export_from_before_a_replacement_is_refused(large_objects: Oids) -> None:
    paper = Paper.objects.create(title="a", file=text("one"))
    before = exported()
    paper.file = text("two")
    paper.save()
    assert refused(before)
    assert stored(Paper.objects.get().file.name) == b"two"
    assert named() == large_objects()


@override_settings(IMPORT_EXPORT_TMP_STORAGE_CLASS="import_export.tmp_storages.MediaStorage")
def test_the_admin_keeps_an_upload_between_its_two_pages_on_a_disk(editor: Client, large_objects: Oids) -> None:
    Paper.objects.create(title="a", file=text("one"))
    upload = SimpleUploadedFile("papers.csv", exported().replace(",a,", ",b,").encode())
    page = editor.post(reverse("admin:shop_paper_import"), {"format": "0", "import_file": upload, "resource": "0"})
    confirmed = page.context["confirm_form"].initial
    response = editor.post(reverse("admin:shop_paper_process_import"), confirmed)
    assert response.status_code == 302, response.content
    assert Paper.objects.get().title == "b"
    assert stored(Paper.objects.get().file.name) == b"one"
    assert large_objects() == named()


def test_an_empty_cell_clears_the_file(large_objects: Oids) -> None:
    paper = Paper.objects.create(title="a", file=text("one"))
    result = imported(exported().replace(paper.file.name, ""))
    assert not result.has_errors()
    assert not Paper.objects.get().file
    assert large_objects() == set()


def test_a_row_that_was_deleted_is_refused_without_its_file() -> None:
    Paper.objects.create(title="a", file=text("one"))
    before = exported()
    Paper.objects.all().delete()
    assert refused(before)
    assert not Paper.objects.exists()
