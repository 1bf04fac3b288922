import uuid
from collections.abc import Sequence
from typing import ClassVar

import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

import pg_lo_storage.models


class Migration(migrations.Migration):
    """Uploads that are no files yet."""

    dependencies: ClassVar[Sequence[tuple[str, str]]] = [("pg_lo_storage", "0001_initial")]

    operations: ClassVar[Sequence[Operation]] = [
        migrations.CreateModel(
            name="UnfinishedUpload",
            fields=[
                (
                    "loid",
                    pg_lo_storage.models.OidField(primary_key=True, serialize=False, verbose_name="large object"),
                ),
                (
                    "key",
                    models.UUIDField(
                        default=uuid.uuid4,
                        editable=False,
                        help_text="What the URL of the upload ends with.",
                        unique=True,
                        verbose_name="key",
                    ),
                ),
                (
                    "owner",
                    models.TextField(
                        blank=True,
                        default="",
                        help_text="Whose it is; empty for a form's, which lasts for its request.",
                        verbose_name="owner",
                    ),
                ),
                ("original_name", models.TextField(blank=True, default="", verbose_name="original name")),
                ("content_type", models.TextField(blank=True, default="", verbose_name="content type")),
                (
                    "length",
                    models.BigIntegerField(blank=True, null=True, verbose_name="announced size in bytes"),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="created at"
                    ),
                ),
                ("expires_at", models.DateTimeField(verbose_name="expires at")),
            ],
            options={
                "verbose_name": "unfinished upload",
                "verbose_name_plural": "unfinished uploads",
                "db_table": "pg_lo_storage_upload",
            },
        ),
    ]
