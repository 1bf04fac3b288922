"""The optional app: ``"pg_lo_storage"`` in ``INSTALLED_APPS`` brings the catalogue of stored files."""

from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _
from typing_extensions import override

__all__ = ["PgLoStorageConfig"]


class PgLoStorageConfig(AppConfig):
    """Large objects that are files, as rows."""

    name = "pg_lo_storage"
    if not TYPE_CHECKING:  # of the type that the base declares
        verbose_name = _("stored files")

    @override
    def ready(self) -> None:
        # Imported here, since both import models.
        from pg_lo_storage.checks import register_checks
        from pg_lo_storage.maintenance.adoption import adopt_after_migrate

        register_checks()
        post_migrate.connect(adopt_after_migrate, sender=self)
