"""The optional app: ``"pg_lo_storage"`` in ``INSTALLED_APPS`` brings the catalogue of stored files."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

__all__ = ["PgLoStorageConfig"]


class PgLoStorageConfig(AppConfig):
    """Large objects that are files, as rows."""

    name = "pg_lo_storage"
    verbose_name = _("stored files")
