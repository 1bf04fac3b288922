from collections.abc import Sequence
from typing import ClassVar

import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.migrations.operations.base import Operation

import pg_lo_storage.models


class Migration(migrations.Migration):
    """The catalogue."""

    initial: ClassVar[bool | None] = True

    dependencies: ClassVar[Sequence[tuple[str, str]]] = []

    operations: ClassVar[Sequence[Operation]] = [
        migrations.CreateModel(
            name="StoredFile",
            fields=[
                (
                    "loid",
                    pg_lo_storage.models.OidField(primary_key=True, serialize=False, verbose_name="large object"),
                ),
                (
                    "extension",
                    models.CharField(
                        blank=True,
                        help_text=(
                            "What follows the oid in the file's name, with its dot; NULL where any extension does."
                        ),
                        max_length=101,
                        null=True,
                        verbose_name="extension",
                    ),
                ),
                ("original_name", models.TextField(blank=True, default="", verbose_name="original name")),
                (
                    "content_type",
                    models.TextField(blank=True, default="application/octet-stream", verbose_name="content type"),
                ),
                (
                    "size",
                    models.BigIntegerField(
                        blank=True,
                        help_text="NULL after a write in place: the object tells.",
                        null=True,
                        verbose_name="size in bytes",
                    ),
                ),
                (
                    "sha256",
                    models.CharField(
                        blank=True,
                        help_text="Hexadecimal; NULL after a write in place.",
                        max_length=64,
                        null=True,
                        verbose_name="SHA-256",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="created at"
                    ),
                ),
                (
                    "modified_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="modified at"
                    ),
                ),
            ],
            options={
                "verbose_name": "stored file",
                "verbose_name_plural": "stored files",
                "db_table": "pg_lo_storage_file",
            },
        ),
    ]
