"""The settings of real servers that take uploads; for what the environment says of them."""

import os

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.uploads.site"  # pyright: ignore[reportConstantRedefinition]  # as settings are
FILE_UPLOAD_HANDLERS = [os.environ.get("PG_LO_TEST_HANDLER", "pg_lo_storage.uploadhandler.DbFileUploadHandler")]
FILE_UPLOAD_MAX_MEMORY_SIZE = int(os.environ.get("PG_LO_TEST_MEMORY", "2621440"))
MIDDLEWARE = [  # pyright: ignore[reportConstantRedefinition]  # as settings are
    "pg_lo_storage.uploadhandler.UploadTooLargeMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
for database in DATABASES.values():  # noqa: F405
    database["ATOMIC_REQUESTS"] = bool(os.environ.get("PG_LO_TEST_ATOMIC"))
