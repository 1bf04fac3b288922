from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseBase, HttpResponseForbidden

from pg_lo_storage.views import db_serve
from tests.predecessor.lo_storage.models import Invoice


@login_required
def invlice_serve(request: HttpRequest, filename: str) -> HttpResponseBase:
    # user=request.user in the README, whose model has an owner.
    if not Invoice.objects.filter(owner=request.user, data=filename).exists():
        return HttpResponseForbidden()
    return db_serve(request, filename)
