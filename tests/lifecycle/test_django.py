"""Django's own ways to change rows: the admin, asynchronous calls, test cases, and the models of migrations."""

import gc
import unittest
from weakref import ref

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.signals import post_init, post_save, pre_delete, pre_save
from django.test import Client, TestCase
from django.urls import reverse

from tests.invoices.models import Invoice
from tests.lifecycle.papers.models import Contract, Letter, Paper
from tests.lifecycle.support import FILES, check, column, upload


@pytest.fixture
def paper() -> Paper:
    return Paper.objects.create(data=upload())


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_the_admin_replaces_clears_and_deletes() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    client.post(reverse("admin:invoices_invoice_add"), {"data": SimpleUploadedFile("a.pdf", b"first")})
    [first] = column(FILES)
    invoice = Invoice.objects.get()
    url = reverse("admin:invoices_invoice_change", args=[invoice.pk])
    client.post(url, {})
    assert column(FILES) == {first}
    client.post(url, {"data": SimpleUploadedFile("b.pdf", b"second")})
    [second] = column(FILES)
    assert second != first
    client.post(url, {"data-clear": "on"})
    assert not column(FILES)
    client.post(url, {"data": SimpleUploadedFile("c.pdf", b"third")})
    assert len(column(FILES)) == 1
    client.post(reverse("admin:invoices_invoice_delete", args=[invoice.pk]), {"post": "yes"})
    assert not column(FILES)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_the_admin_deletes_a_selection_and_rolls_back_as_one() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    keys = [Invoice.objects.create(data=upload()).pk for _ in range(3)]
    selection = {"action": "delete_selected", "_selected_action": keys[:2], "post": "yes"}
    client.post(reverse("admin:invoices_invoice_changelist"), selection)
    assert column(FILES) == {Invoice.objects.get().data.loid}


def test_asynchronous_calls(paper: Paper, catalogue: bool) -> None:
    @async_to_sync
    async def replace_and_copy() -> None:
        row = await Paper.objects.aget(pk=paper.pk)
        row.data = upload(b"second")
        await row.asave()
        await Paper.objects.acreate(data=upload(b"third"))
        await row.adelete()

    replace_and_copy()
    check(b"third", catalogue=catalogue)


@pytest.mark.once
def test_the_attribute_of_a_class_is_the_descriptor_of_its_field() -> None:
    for model in (Paper, Contract):  # the second inherits it
        assert vars(Paper)["data"].__get__(None, model) is vars(Paper)["data"]


def test_in_a_test_case_files_go_at_once(catalogue: bool) -> None:
    Paper.objects.create(data=upload())

    class Case(TestCase):
        def test_files(self) -> None:
            row = Paper.objects.get()
            before = row.data.loid
            row.data = upload(b"second")
            with self.captureOnCommitCallbacks() as callbacks:
                row.save()
                assert before not in column(FILES)
                row.delete()
            assert not column(FILES)
            assert not callbacks

    result = unittest.TestResult()
    unittest.TestSuite([Case("test_files")]).run(result)
    assert result.testsRun == 1
    assert result.wasSuccessful(), result.failures + result.errors
    check(b"first", catalogue=catalogue)


def test_an_instance_that_was_rolled_back_with_its_test_or_request_is_saved_again(catalogue: bool) -> None:
    row = Paper(data=upload())
    with transaction.atomic():
        row.save()
        transaction.set_rollback(True)
    check(catalogue=catalogue)
    again = Paper.objects.create(title="another")
    again.data = upload(b"second")
    again.save()
    check(b"second", catalogue=catalogue)


def test_models_of_migrations(paper: Paper, catalogue: bool) -> None:
    state = ProjectState()
    for model in apps.get_app_config("papers").get_models():
        state.add_model(ModelState.from_model(model, exclude_rels=False))
    state.add_model(ModelState.from_model(apps.get_model("contenttypes", "ContentType")))
    historical = state.apps.get_model("papers", "Paper")
    row = historical._default_manager.get(pk=paper.pk)
    row.data = upload(b"second")
    row.save()
    check(b"second", catalogue=catalogue)
    row.delete()
    check(catalogue=catalogue)


@pytest.mark.once
def test_models_of_migrations_leave_no_receivers_behind() -> None:
    """Django looks through all that there are whenever one is connected, and migrations make models by the hundred."""

    def connected() -> list[int]:
        gc.collect()
        return [
            sum(isinstance(receiver, ref) and receiver() is not None for _, receiver, *_ in vars(signal)["receivers"])
            for signal in (post_init, pre_save, post_save, pre_delete)
        ]

    state = ProjectState()  # Django remembers the models of the last one until there is another
    assert not state.apps.get_models()
    before = connected()
    state.add_model(ModelState.from_model(Letter))
    assert connected() == [count + 1 for count in before]
    del state
    assert connected() == before
