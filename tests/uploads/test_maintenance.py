"""Commands know an unfinished upload for what it is."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from django.utils import timezone

from pg_lo_storage.models import StoredFile, UnfinishedUpload
from pg_lo_storage.storage import db_file_storage
from tests.catalogue.support import run
from tests.storage.support import LARGE, content, stored
from tests.uploads.test_handler import received

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def said(*arguments: str) -> str:
    """Return what a subcommand says, with whatever exit status."""
    out = StringIO()
    try:
        call_command("largeobjects", *arguments, stdout=out, stderr=out)
    except SystemExit as status:
        out.write(f"exit {status.code}")
    return out.getvalue()


def test_an_unfinished_upload_is_no_orphan() -> None:
    file = received()
    assert str(file.loid) not in said("check", "--database=default")
    said("repair", "--orphans", "--older-than=0", "--yes", "--database=default")
    assert UnfinishedUpload.objects.get().loid == file.loid
    assert b"".join(file.chunks()) == content(LARGE)


def test_who_says_that_it_is_an_unfinished_upload() -> None:
    assert "pg_lo_storage_upload" in said("who", str(received().loid), "--database=default")


def test_prune_unlinks_no_file_for_an_old_row_with_its_oid() -> None:
    """The upload's object was unlinked by hand, and its oid is another file's by now."""
    name = db_file_storage.save("march.pdf", received())
    UnfinishedUpload.objects.create(loid=StoredFile.objects.get().loid, expires_at=timezone.now())
    UnfinishedUpload.objects.update(expires_at=Now())
    said("prune", "--yes", "--database=default")
    assert stored(name) == content(LARGE)
    assert not UnfinishedUpload.objects.exists()


def test_a_database_without_the_table_has_no_uploads() -> None:
    run("alter table pg_lo_storage_upload rename to pg_lo_storage_upload_away")
    try:
        assert "exit" not in said("prune", "--yes", "--database=default")
    finally:
        run("alter table pg_lo_storage_upload_away rename to pg_lo_storage_upload")


def test_an_upload_is_called_by_its_name_or_else_its_oid() -> None:
    upload = UnfinishedUpload(loid=received().loid, original_name="march.pdf")
    assert str(upload) == "march.pdf"
    assert str(UnfinishedUpload(loid=upload.loid)) == str(upload.loid)
