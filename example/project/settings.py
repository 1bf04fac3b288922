"""Django's settings; the environment says which database, and the key that signs the sessions."""

import json
import os
from typing import Any

SECRET_KEY = os.environ["PG_LO_DEMO_SECRET_KEY"]
DATABASES: dict[str, dict[str, Any]] = {"default": json.loads(os.environ["PG_LO_DEMO_DATABASE"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "example.project.urls"
WSGI_APPLICATION = "example.project.wsgi.application"
MEDIA_URL = "/files/"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "pg_lo_storage",
    "example.project",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    },
]
# Without DEBUG Django logs to nowhere: a traceback is to reach the server's log.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django": {"handlers": ["console"], "level": "ERROR"}},
}
