"""Django's settings; the environment says which database, and the key that signs the sessions and links."""

import json
import os
from typing import Any

SECRET_KEY = os.environ["PG_LO_SITE_SECRET_KEY"]
DATABASES: dict[str, dict[str, Any]] = {
    # A connection stays with its thread, as a site's does.
    "default": {"CONN_MAX_AGE": 60, **json.loads(os.environ["PG_LO_SITE_DATABASE"])}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "example.site.urls"
WSGI_APPLICATION = "example.site.wsgi.application"
STATIC_URL = "/static/"
MEDIA_URL = "/files/"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
# A PDF is shown in a frame of the invoice's page.
X_FRAME_OPTIONS = "SAMEORIGIN"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "pg_lo_storage",
    "example.site",
]
FILE_UPLOAD_HANDLERS = ["example.site.uploads.InvoiceUploads"]
MIDDLEWARE = [
    "pg_lo_storage.uploadhandler.UploadTooLargeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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
            ]
        },
    },
]
# Without DEBUG Django logs to nowhere: a traceback is to reach the server's log.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django": {"handlers": ["console"], "level": "ERROR"}},
}
