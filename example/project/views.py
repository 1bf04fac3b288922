"""Who may read which file."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render

from example.project.models import Invoice
from pg_lo_storage.views import db_serve


@login_required
def index(request: HttpRequest) -> HttpResponse:
    """List the user's invoices."""
    return render(request, "index.html", {"invoices": Invoice.objects.filter(owner=request.user.pk)})


@login_required
def download(request: HttpRequest, filename: str) -> HttpResponseBase:
    """Serve an invoice's file to the owner; to anybody else there is no such file."""
    get_object_or_404(Invoice, owner=request.user.pk, data=filename)
    return db_serve(request, filename)
