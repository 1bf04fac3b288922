"""What filer serves private files with, once it has asked who may read them; its settings import this before models."""

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from filer.server.backends.base import ServerBase

from pg_lo_storage.views import db_serve


class DbServer(ServerBase):
    def serve(self, request: HttpRequest, filer_file: Any, **_options: Any) -> HttpResponseBase:
        return db_serve(request, filer_file.file.name, download_name=filer_file.original_filename)
