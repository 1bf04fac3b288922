"""Django's settings of a project with a schema for each tenant, by django-tenants."""

import json
import os
from typing import Any

SECRET_KEY = "tests only"
DATABASES: dict[str, dict[str, Any]] = {"default": json.loads(os.environ["PG_LO_TEST_DATABASES"])["default"]}
DATABASES["default"]["ENGINE"] = "django_tenants.postgresql_backend"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.tenants.urls"
MEDIA_URL = "/files/"

TENANT_MODEL = "customers.Customer"
TENANT_DOMAIN_MODEL = "customers.Domain"
SHARED_APPS = ["django_tenants", "django.contrib.contenttypes", "tests.tenants.customers"]
# Where "pg_lo_storage" is listed, the tests choose.
TENANT_APPS = ["tests.tenants.shop", "pg_lo_storage"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
MIDDLEWARE = ["django_tenants.middleware.main.TenantMainMiddleware"]
# All in one process: the standard executor of migrate_schemas.
