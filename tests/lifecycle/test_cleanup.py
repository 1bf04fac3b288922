"""Which objects there are after what is done to a row; each test runs in autocommit."""

from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile
from django.db import transaction
from django.test.utils import CaptureQueriesContext
from django.db import connection

from tests.lifecycle.papers.models import Contract, Draft, Folder, Letter, Paper, Version

pytestmark = pytest.mark.django_db(transaction=True)
Count = Callable[..., int]


def upload(content: bytes = b"first", name: str = "a.pdf") -> "ContentFile[bytes]":
    return ContentFile(content, name=name)


def read(file):
    with file.open() as f:
        return f.read()


def test_all(count_large_objects: Count, catalogue: bool) -> None:
    paper = Paper.objects.create(data=upload())
    assert count_large_objects() == 1
    with CaptureQueriesContext(connection) as c:
        paper.title = "x"
        paper.save()
    assert len(c) == 1, c.captured_queries
    paper = Paper.objects.get()
    with CaptureQueriesContext(connection) as c:
        paper.title = "y"
        paper.save()
    assert len(c) == 1, c.captured_queries
    paper.data = upload(b"second")
    with CaptureQueriesContext(connection) as c:
        paper.save()
    print([q["sql"][:150] for q in c.captured_queries])
    assert count_large_objects() == 1
    assert read(Paper.objects.get().data) == b"second"
    paper.data = None
    paper.save()
    assert count_large_objects() == 0
    paper.data.save("b.pdf", upload(b"third"))
    assert count_large_objects() == 1
    copy = Paper.objects.get()
    copy.pk = None
    copy.save()
    paper.delete()
    assert count_large_objects() == 1
    copy = Paper.objects.get()
    assert read(copy.data) == b"third"
    with CaptureQueriesContext(connection) as c:
        copy.data.delete()
    print([q["sql"][:150] for q in c.captured_queries])
    assert count_large_objects() == 0
    with CaptureQueriesContext(connection) as c:
        copy.delete()
    print([q["sql"][:150] for q in c.captured_queries])
    folder = Folder.objects.create()
    for i in range(5):
        Paper.objects.create(folder=folder, data=upload())
    Contract.objects.create(folder=folder, data=upload(), signed=upload())
    Draft.objects.create(folder=folder, data=upload())
    assert count_large_objects() == 8
    with CaptureQueriesContext(connection) as c:
        folder.delete()
    print("\n".join([q["sql"][:250] for q in c.captured_queries]))
    assert count_large_objects() == 0
    letter = Letter.objects.create(code="a", data=upload())
    letter.data = upload(b"2")
    letter.save(update_fields=["data"])
    assert count_large_objects() == 1
    Version.objects.create(data=letter.data)
    Letter.objects.all().delete()
    assert count_large_objects() == 1
    Version.objects.all().delete()
    assert count_large_objects() == 0
    contract = Contract.objects.create(data=upload(), signed=upload())
    contract.data = upload()
    contract.signed = upload()
    contract.save()
    assert count_large_objects() == 2
    Contract.objects.all().delete()
    assert count_large_objects() == 0
