from django.urls import path

from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.views import DbFileView, adb_serve, db_serve, db_serve_signed
from tests.tenants.shop.models import Invoice

urlpatterns = [
    path("files/<path:filename>", db_serve),
    path("awaited/<path:filename>", adb_serve),
    path("mine/<int:pk>", DbFileView.as_view(model=Invoice, field="data")),
    path("signed/<path:filename>", db_serve_signed, {"storage": DbFileStorage("/signed/")}),
]
