"""The admins of django-import-export, reversion and simple-history."""

from django.contrib import admin
from import_export.admin import ImportExportModelAdmin
from reversion.admin import VersionAdmin
from simple_history.admin import SimpleHistoryAdmin

from tests.packages.shop.models import CountedHistory, Paper, Versioned

admin.site.register(Paper, ImportExportModelAdmin)
admin.site.register(Versioned, VersionAdmin)
admin.site.register(CountedHistory, SimpleHistoryAdmin)
