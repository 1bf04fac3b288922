"""The site as a Django application."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """Ledger; "site" alone would be Python's module, and Django's sites."""

    name = "example.site"
    label = "ledger"
    default = True
