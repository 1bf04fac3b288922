"""django-debug-toolbar finds rows that ask for their files one by one."""

from typing import Any

import pytest
from debug_toolbar.panels.sql import SQLPanel
from debug_toolbar.toolbar import DebugToolbar
from django.http import HttpResponse
from django.test import RequestFactory

from pg_lo_storage.fields import prefetch_stored_files
from tests.packages.shop.models import Cleaned
from tests.packages.support import text

pytestmark = pytest.mark.django_db(transaction=True)


def similar(together: bool) -> int:
    request = RequestFactory().get("/")
    panel: Any = SQLPanel(DebugToolbar(request, lambda _: HttpResponse()), lambda _: HttpResponse())
    panel.enable_instrumentation()
    try:
        rows = list(Cleaned.objects.all())
        if together:
            prefetch_stored_files(rows, "file")
        assert [row.file.size for row in rows] == [3, 3, 3]
    finally:
        panel.disable_instrumentation()
    panel.generate_stats(request, HttpResponse())
    return max(query.get("similar_count", 1) for query in panel.get_stats()["queries"])


def test_it_finds_them(catalogue: bool) -> None:
    for name in ("one", "two", "six"):
        Cleaned.objects.create(file=text(name))
    assert similar(together=False) == 3
    if catalogue:
        assert similar(together=True) == 1
