"""Where things are."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.contrib.staticfiles.views import serve
from django.urls import path
from django.views.generic import RedirectView

from example.site import views
from example.site.models import MAX_SIZE, Invoice, Version
from pg_lo_storage.tus import TusUpload
from pg_lo_storage.views import DbFileView, db_serve_signed

files = DbFileView.as_view(model=Invoice, field="data", owner="owner")
downloads = DbFileView.as_view(model=Invoice, field="data", owner="owner", as_attachment=True)
versions = DbFileView.as_view(model=Version, field="data", owner="invoice__owner", as_attachment=True)

urlpatterns = [
    path("", views.invoices, name="invoices"),
    path("upload/", views.upload, name="upload"),
    # For clients that resume uploads; "upload/" then takes an upload's URL in the place of a file.
    path("up/", TusUpload.as_view(max_size=MAX_SIZE), name="up"),
    path("invoices/<int:pk>/", views.invoice, name="invoice"),
    path("invoices/<int:pk>/replace/", views.replace, name="replace"),
    path("invoices/<int:pk>/share/", views.share, name="share"),
    path("invoices/<int:pk>/try-deletion/", views.try_deletion, name="try-deletion"),
    path("invoices/<int:pk>/delete/", views.delete, name="delete"),
    path("invoices/<int:pk>/thumbnail/", views.thumbnail, name="thumbnail"),
    path("invoices/<int:pk>/download/", downloads, name="download"),
    path("versions/<int:pk>/download/", versions, name="version"),
    path("files/<filename>", files, name="file"),
    path("shared/<filename>", db_serve_signed, {"storage": views.links}, name="shared"),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    # One process serves all; a real site's static files are on a web server.
    path("static/<path:path>", serve, {"insecure": True}),
    path("favicon.ico", RedirectView.as_view(url="/static/ledger/icon.svg")),
]
