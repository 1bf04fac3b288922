"""System checks on other packages that keep files, such as thumbnails, and ask for them by names of their own."""

from collections.abc import Iterator, Mapping
from typing import Final, cast

from django.apps import apps
from django.conf import settings
from django.core import checks

from pg_lo_storage import catalogue
from pg_lo_storage.checks.storages import storage_class

__all__ = ["check_packages"]

_MEDIA: Final = "import_export.tmp_storages.MediaStorage"


def check_packages(**_options: object) -> list[checks.CheckMessage]:
    """Check where those packages keep files that they ask for by names of their own."""
    return [
        _message(app, setting)
        for app, setting, storage in _storages_of_packages()
        if apps.is_installed(app) and _is_of_large_objects(storage)
    ]


def _storages_of_packages() -> Iterator[tuple[str, str, str]]:
    """Yield an app, a setting, and the storage that it chooses: an alias of ``STORAGES``, or a class's dotted path."""
    easy = "THUMBNAIL_DEFAULT_STORAGE_ALIAS"
    yield "easy_thumbnails", easy, _or_default(getattr(settings, easy, "easy_thumbnails"))
    for app, setting in (("imagekit", "IMAGEKIT_DEFAULT_FILE_STORAGE"), ("sorl.thumbnail", "THUMBNAIL_STORAGE")):
        yield app, setting, getattr(settings, setting, None) or "default"
    if getattr(settings, "IMPORT_EXPORT_TMP_STORAGE_CLASS", None) == _MEDIA:
        yield "import_export", "STORAGES['import_export']", _or_default("import_export")
    kinds = cast("Mapping[str, Mapping[str, Mapping[str, str]]]", getattr(settings, "FILER_STORAGES", {}))
    for kind in ("public", "private"):
        engine = kinds.get(kind, {}).get("thumbnails", {}).get("ENGINE")
        if engine or kind == "public":  # private ones are on a disk by default
            yield "filer", f"FILER_STORAGES[{kind!r}]['thumbnails']['ENGINE']", engine or "default"


def _or_default(alias: str) -> str:
    return alias if alias in settings.STORAGES else "default"


def _is_of_large_objects(storage: str) -> bool:
    configured = cast("Mapping[str, Mapping[str, object]]", settings.STORAGES)
    backend = storage if "." in storage else configured.get(storage, {}).get("BACKEND")
    return storage_class(backend) is not None


def _message(app: str, setting: str) -> checks.CheckMessage:
    problem = (
        f"By {setting}, {app} keeps files of its own in large objects, and asks for them by other names than this"
        " storage gives them: they are not found, or made anew for each page, and stay as objects that nothing names"
    )
    hint = f"Name a storage on a disk or in memory in {setting}; docs/packages.md has the settings."
    if catalogue.is_installed():
        return checks.Warning(f"{problem}.", hint=hint, id="pg_lo_storage.W013")
    return checks.Error(
        f"{problem}. Without the catalogue only their form tells these names from those of stored files.",
        hint=hint,
        id="pg_lo_storage.E007",
    )
