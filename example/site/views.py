"""The pages. Another user's invoices do not exist: each view looks among the user's own."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.datastructures import MultiValueDict
from django.views.decorators.http import condition, require_GET, require_POST

from example.site import previews
from example.site.forms import ShareForm, UploadForm
from example.site.models import MAX_SIZE, Invoice, Version
from example.site.rehearsal import rehearse_deletion
from pg_lo_storage.fields import prefetch_stored_files
from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.tus import with_finished

PAGE = 50

links = DbFileStorage(base_url="/shared/", signed=True)
"""Where whoever has a link reads its file."""


def own(request: HttpRequest) -> QuerySet[Invoice]:
    """Return the invoices of whoever asks."""
    return Invoice.objects.filter(owner=request.user.pk)


@login_required
@require_GET
def invoices(request: HttpRequest) -> HttpResponse:
    """List the user's invoices, newest first."""
    page = Paginator(own(request), PAGE).get_page(request.GET.get("page"))
    # Names, types and sizes of a page's files are one query, not one for each.
    prefetch_stored_files(page, "data")
    return render(request, "ledger/invoices.html", {"page": page, "max_size": MAX_SIZE})


@login_required
@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """Keep each file with a new row; one that is refused does not hold up the others."""
    refused: list[str] = []
    for file in with_finished(request, "data").getlist("data"):
        files: MultiValueDict[str, UploadedFile[bytes]] = MultiValueDict({"data": [file]})
        form = UploadForm(request.POST, files, instance=Invoice(owner_id=request.user.pk))
        if form.is_valid():
            form.save()
        else:
            refused += [str(problem) for problem in form.errors["data"]]
    for problem in refused:
        messages.error(request, problem)
    # The script that shows progress reads the status and the text.
    if request.headers.get("Accept") == "text/plain":
        return HttpResponse("\n".join(refused), content_type="text/plain", status=422 if refused else 201)
    return redirect("invoices")


@login_required
@require_GET
def invoice(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one invoice: what its file is, a preview, the files it had before."""
    return _show(request, pk)


@login_required
@require_POST
def replace(request: HttpRequest, pk: int) -> HttpResponse:
    """Put another file in the place of the one there is, which becomes a version."""
    row = get_object_or_404(own(request), pk=pk)
    form = UploadForm(request.POST, request.FILES)
    if not form.is_valid():
        return _show(request, pk, replace_form=form, status=422)
    row.replace(form.cleaned_data["data"])
    messages.success(request, "Replaced. The file before is kept below, under Versions.")
    return redirect(row)


@login_required
@require_POST
def share(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a link that anybody may use for a while."""
    row = get_object_or_404(own(request), pk=pk)
    form = ShareForm(request.POST)
    if not form.is_valid():
        return _show(request, pk, share_form=form, status=422)
    url = links.signed_url(str(row.data.name), max_age=form.cleaned_data["max_age"])
    return _show(request, pk, share_form=form, link=request.build_absolute_uri(url))


@login_required
@require_POST
def try_deletion(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete in a transaction that is rolled back, and show what it looked like before, within and after."""
    row = get_object_or_404(own(request), pk=pk)
    return render(request, "ledger/rehearsal.html", {"invoice": row, "moments": rehearse_deletion(row)})


@login_required
@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponseRedirect:
    """Delete the row, and with it its file and those of its versions."""
    row = get_object_or_404(own(request), pk=pk)
    name = str(row)
    row.delete()
    messages.success(request, f"{name} is deleted, the row and the file, in one transaction.")
    return redirect("invoices")


def _etag(request: HttpRequest, pk: int) -> str | None:
    row = own(request).filter(pk=pk).first()
    return f'"{row.data.sha256}-{previews.SIDE}"' if row and row.data.sha256 else None


@login_required
@require_GET
@condition(etag_func=_etag)
def thumbnail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show an image in small."""
    row = get_object_or_404(own(request), pk=pk)
    response = HttpResponse(previews.thumbnail(row.data), content_type="image/png")
    response["Cache-Control"] = "private, no-cache"
    return response


def _show(
    request: HttpRequest,
    pk: int,
    *,
    replace_form: UploadForm | None = None,
    share_form: ShareForm | None = None,
    link: str = "",
    status: int = 200,
) -> HttpResponse:
    row = get_object_or_404(own(request), pk=pk)
    versions = list(Version.objects.filter(invoice=row))
    prefetch_stored_files(versions, "data")
    context = {
        "invoice": row,
        "versions": versions,
        "preview": previews.kind(row.data),
        "replace_form": replace_form or UploadForm(),
        "share_form": share_form or ShareForm(),
        "link": link,
    }
    return render(request, "ledger/invoice.html", context, status=status)
