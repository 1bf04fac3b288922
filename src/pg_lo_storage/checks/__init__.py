"""System checks: https://docs.djangoproject.com/en/stable/ref/checks/."""

from pg_lo_storage.checks.settings import (
    TAG,
    check_databases,
    check_fields,
    check_old_places,
    check_settings,
    register_checks,
)

__all__ = ["TAG", "check_databases", "check_fields", "check_old_places", "check_settings", "register_checks"]
