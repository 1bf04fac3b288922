"""The invoices in the admin, beside the catalogue of all files."""

from typing import TYPE_CHECKING

from django.contrib import admin

from example.site.models import Invoice, Version

if TYPE_CHECKING:
    InvoiceModelAdmin = admin.ModelAdmin[Invoice]
    VersionTabularInline = admin.TabularInline[Version, Invoice]
else:
    InvoiceModelAdmin = admin.ModelAdmin
    VersionTabularInline = admin.TabularInline


class VersionInline(VersionTabularInline):
    """The files that an invoice had."""

    model = Version
    extra = 0


@admin.register(Invoice)
class InvoiceAdmin(InvoiceModelAdmin):
    """Invoices of all users."""

    list_display = ("__str__", "owner", "uploaded_at")
    list_filter = ("owner",)
    inlines = (VersionInline,)
