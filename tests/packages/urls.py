"""What users of the packages mount."""

from django.contrib import admin
from django.urls import include, path
from filer.models import File
from filer.server.views import serve_protected_file
from wagtail.admin import urls as wagtailadmin_urls
from wagtail.documents import urls as wagtaildocs_urls

from pg_lo_storage.tus import TusUpload
from pg_lo_storage.views import DbFileView, db_serve
from tests.packages.shop.apis import ninja_api, router
from tests.packages.shop.wagtail_views import serve_document

urlpatterns = [
    path("admin/", admin.site.urls),
    path("cms/", include(wagtailadmin_urls)),
    path("documents/<int:document_id>/<path:_filename>", serve_document),
    path("documents/", include(wagtaildocs_urls)),
    path("filer/", include("filer.urls")),
    path("public/<filename>", DbFileView.as_view(queryset=File.objects.filter(is_public=True), field="file")),
    path("private/<path>", serve_protected_file),
    path("rest/", include(router.urls)),
    path("ninja/", ninja_api.urls),
    path("files/<filename>", db_serve),
    path("up/", TusUpload.as_view()),
    path("pages/", include("wagtail.urls")),
]
