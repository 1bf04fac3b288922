"""Model fields whose files are large objects: https://docs.djangoproject.com/en/stable/ref/models/fields/#filefield."""

from pg_lo_storage.fields.fields import DbFileField, DbImageField
from pg_lo_storage.fields.files import DbFieldFile, DbImageFieldFile, prefetch_stored_files
from pg_lo_storage.fields.following import get_default_storage

__all__ = ["DbFieldFile", "DbFileField", "DbImageField", "DbImageFieldFile", "prefetch_stored_files"]

# Migrations name it by this module.
get_default_storage.__module__ = __name__
