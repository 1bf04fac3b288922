"""What serves wagtail's documents."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from wagtail import hooks
from wagtail.documents.models import Document

from pg_lo_storage.views import db_serve


def serve_document(request: HttpRequest, document_id: int, _filename: str) -> HttpResponseBase:
    document = get_object_or_404(Document, pk=document_id)
    for ask in hooks.get_hooks("before_serve_document"):
        if (refusal := ask(document, request)) is not None:
            return refusal
    return db_serve(request, document.file.name)
