"""The app asks django-cleanup for models of filer's, before that is ready."""

from django.apps import AppConfig, apps
from django_cleanup import cleanup


class ShopConfig(AppConfig):
    name = "tests.packages.shop"

    def ready(self) -> None:
        for name in ("File", "Image"):
            cleanup.select(apps.get_model("filer", name))
