"""The system checks that tell of these packages."""

from typing import Any

import pytest
from django.core import checks
from django.test import override_settings

from tests.packages.settings import FILER_STORAGES, STORAGES

MEDIA = "import_export.tmp_storages.MediaStorage"
MEDIA_IN_DEFAULT = {name: options for name, options in STORAGES.items() if name != "import_export"}
HERE = "pg_lo_storage.storage.DbFileStorage"


def found() -> list[checks.CheckMessage]:
    return [message for message in checks.run_checks() if str(message.id).startswith("pg_lo_storage")]


def test_the_settings_of_the_page_leave_nothing_to_say() -> None:
    assert not found()


@pytest.mark.parametrize(
    ("app", "changed"),
    [
        ("sorl.thumbnail", {"THUMBNAIL_STORAGE": "default"}),
        ("sorl.thumbnail", {"THUMBNAIL_STORAGE": HERE}),
        ("imagekit", {"IMAGEKIT_DEFAULT_FILE_STORAGE": "default"}),
        ("easy_thumbnails", {"THUMBNAIL_DEFAULT_STORAGE_ALIAS": "default"}),
        ("easy_thumbnails", {"THUMBNAIL_DEFAULT_STORAGE_ALIAS": "of none"}),
        ("filer", {"FILER_STORAGES": {}}),
        ("import_export", {"STORAGES": MEDIA_IN_DEFAULT, "IMPORT_EXPORT_TMP_STORAGE_CLASS": MEDIA}),
        ("filer", {"FILER_STORAGES": FILER_STORAGES | {"private": {"thumbnails": {"ENGINE": HERE}}}}),
    ],
)
def test_files_of_packages_in_large_objects_are_told_of(app: str, changed: dict[str, Any], catalogue: bool) -> None:
    with override_settings(**changed):
        [message] = found()
    assert message.id == ("pg_lo_storage.W013" if catalogue else "pg_lo_storage.E007")
    assert app in message.msg
    assert next(iter(changed)) in message.msg
    assert message.hint
    assert "docs/packages.md" in message.hint


@pytest.mark.parametrize("storage", ["derived", "no.such.Storage", "django.core.files.storage.InMemoryStorage"])
def test_files_of_packages_elsewhere_are_not(storage: str) -> None:
    with override_settings(THUMBNAIL_STORAGE=storage):
        assert not found()
