# ruff: noqa: ARG001, SIM115, SIM117 -- the view is the README's
import mimetypes
from tempfile import SpooledTemporaryFile

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import FileResponse, HttpRequest

from pg_lo_storage.storage import db_file_storage as storage


@login_required
def serve(request: HttpRequest, filename: str) -> FileResponse:
    t = SpooledTemporaryFile()
    with transaction.atomic():
        with storage.open(filename) as f:
            for chunk in f:
                t.write(chunk)
    t.seek(0)
    return FileResponse(t, content_type=mimetypes.guess_type(filename)[0], filename=filename)
