"""docs/uploads.md: its snippets."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadhandler import load_handler
from django.test import RequestFactory

from pg_lo_storage.tus import TusUpload
from pg_lo_storage.uploadhandler import DbFileUploadHandler

pytestmark = pytest.mark.once
PAGE = Path(__file__).parents[2] / "docs/uploads.md"


def test_its_snippets_run() -> None:
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(snippets) == 4
    made = dict[str, Any]()
    for snippet in snippets:
        exec(snippet, made)
    [handler] = (load_handler(path, RequestFactory().post("/")) for path in made["FILE_UPLOAD_HANDLERS"])
    assert type(handler) is DbFileUploadHandler
    assert made["InvoiceUploads"]().expires == timedelta(hours=1)
    [up] = made["urlpatterns"]
    assert up.callback.view_class is TusUpload
