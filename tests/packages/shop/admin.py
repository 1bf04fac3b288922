"""The admin of django-import-export."""

from django.contrib import admin
from import_export.admin import ImportExportModelAdmin

from tests.packages.shop.models import Paper

admin.site.register(Paper, ImportExportModelAdmin)
