"""Django's settings of a project that has all the packages, and its files in large objects by default."""

import json
import os
from typing import Any

SECRET_KEY = "tests only"
DATABASES: dict[str, dict[str, Any]] = {"default": json.loads(os.environ["PG_LO_TEST_DATABASES"])["default"]}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.packages.urls"
MEDIA_URL = "/files/"
STATIC_URL = "/static/"
MEDIA_ROOT = os.environ["PG_LO_TEST_DERIVED"]  # django-binary-database-files
DB_FILES_AUTO_EXPORT_DB_TO_FS = False
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LANGUAGE_CODE = "en"

_ON_DISK = {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {"location": os.environ["PG_LO_TEST_DERIVED"], "base_url": "/derived/"},
}
STORAGES = {
    "default": {"BACKEND": "pg_lo_storage.storage.DbFileStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "derived": _ON_DISK,
    "disk": _ON_DISK,
    "easy_thumbnails": _ON_DISK,
    "import_export": _ON_DISK,
}
THUMBNAIL_STORAGE = "derived"  # sorl-thumbnail
IMAGEKIT_DEFAULT_FILE_STORAGE = "derived"
WAGTAILIMAGES_RENDITION_STORAGE = "derived"
PG_LO_STORAGE_REFERENCES = ["shop.HistoricalCountedHistory.file"]
WAGTAIL_SITE_NAME = "Tests"
WAGTAILADMIN_BASE_URL = "http://testserver"
_DATABASE = "pg_lo_storage.storage.DbFileStorage"
_THUMBNAILS = {"ENGINE": _ON_DISK["BACKEND"], "OPTIONS": _ON_DISK["OPTIONS"]}
FILER_STORAGES = {
    "public": {"main": {"ENGINE": _DATABASE, "OPTIONS": {"base_url": "/public/"}}, "thumbnails": _THUMBNAILS},
    "private": {"main": {"ENGINE": _DATABASE, "OPTIONS": {"base_url": "/private/"}}, "thumbnails": _THUMBNAILS},
}
FILER_SERVERS = {"private": {"main": {"ENGINE": "tests.packages.shop.filer_server.DbServer"}}}

INSTALLED_APPS = [
    "modeltranslation",
    "tests.packages.shop",
    "pg_lo_storage",
    "binary_database_files",
    "db_file_storage",
    "django_cleanup.apps.CleanupSelectedConfig",
    "easy_thumbnails",
    "debug_toolbar",
    "filer",
    "imagekit",
    "import_export",
    "polymorphic",
    "rest_framework",
    "reversion",
    "safedelete",
    "simple_history",
    "sorl.thumbnail",
    "wagtail.users",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail.sites",
    "wagtail",
    "modelcluster",
    "taggit",
    "django_filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]


class _OnlyOurs(dict[str, None]):
    """Migrations: those of this package. All other tables are made as the models are now, which takes seconds less."""

    def __contains__(self, label: object) -> bool:
        return label != "pg_lo_storage"

    def __missing__(self, label: str) -> None:
        return None


MIGRATION_MODULES = _OnlyOurs()
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            # Two packages call their tags "thumbnail".
            "libraries": {"sorl": "sorl.thumbnail.templatetags.thumbnail"},
        },
    },
]
