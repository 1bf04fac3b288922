from django.contrib import admin

from tests.invoices.models import Invoice

admin.site.register(Invoice, list_display=("pk", "data", "scan", "plain", "elsewhere", "via_callable", "short"))
