from django.contrib import admin
from django.urls import path

from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.views import db_serve

urlpatterns = [
    path("admin/", admin.site.urls),
    path("files/<path:filename>", db_serve),
    path("others/<path:filename>", db_serve, {"storage": DbFileStorage("/others/", alias="other")}),
]
