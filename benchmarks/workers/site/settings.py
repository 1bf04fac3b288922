"""Settings for the store of the job that the environment carries."""

import os

from benchmarks.jobs import VARIABLE, Job
from benchmarks.workers.site.databases import database_of

JOB = Job.from_json(os.environ[VARIABLE])
BACKENDS = {
    "own": "pg_lo_storage.storage.DbFileStorage",
    "predecessor": "pg_lo_storage.storage.DbFileStorage",
    "db_file_storage": "db_file_storage.storage.DatabaseFileStorage",
    "binary_database_files": "binary_database_files.storage.DatabaseStorage",
    "bytea": "benchmarks.workers.site.storages.ByteaStorage",
    "files": "benchmarks.workers.site.storages.SyncedStorage",
}
APPS = {"own": ["pg_lo_storage"], "binary_database_files": ["binary_database_files"]}

SECRET_KEY = "benchmarks only"  # noqa: S105 -- nothing is secret here
ALLOWED_HOSTS = ["*"]
DATABASES = {"default": database_of(JOB)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
ROOT_URLCONF = "benchmarks.workers.site.urls"
MEDIA_URL = "/files/"
MEDIA_ROOT = JOB.folder
STORAGES = {"default": {"BACKEND": BACKENDS[JOB.store]}}
INSTALLED_APPS = ["benchmarks.workers.site.apps.Papers", *APPS.get(JOB.store, [])]
# binary_database_files would keep a copy on disk.
DB_FILES_AUTO_EXPORT_DB_TO_FS = False
