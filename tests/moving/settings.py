"""The settings of processes that tests of this folder start."""

import os

from django.conf import global_settings

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS.append("tests.moving.letters")
ROOT_URLCONF = "tests.moving.site"  # pyright: ignore[reportConstantRedefinition]  # as settings are
STORAGES = global_settings.STORAGES | {
    alias: {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": os.environ["PG_LO_TEST_OLD"], "base_url": "/old/"},
    }
    for alias in ("old", "disk")
}
