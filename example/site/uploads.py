"""Uploads are written to the database while they arrive, and refused once they are too large."""

from example.site.models import MAX_SIZE
from pg_lo_storage.uploadhandler import DbFileUploadHandler


class InvoiceUploads(DbFileUploadHandler):
    """Takes what an invoice's file may have; it is used by the admin's forms, too."""

    max_size = MAX_SIZE
