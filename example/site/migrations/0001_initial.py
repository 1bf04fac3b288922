"""The tables of invoices and their versions."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import pg_lo_storage.fields


class Migration(migrations.Migration):
    """Make them, with the indexes by which a file's rows are found."""

    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            name="Invoice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("data", pg_lo_storage.fields.DbFileField(upload_to="", verbose_name="file")),
                ("uploaded_at", models.DateTimeField(auto_now_add=True)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invoices",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"ordering": ("-uploaded_at", "-pk")},
        ),
        migrations.CreateModel(
            name="Version",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("data", pg_lo_storage.fields.DbFileField(upload_to="", verbose_name="file")),
                ("replaced_at", models.DateTimeField(auto_now_add=True)),
                (
                    "invoice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="versions", to="ledger.invoice"
                    ),
                ),
            ],
            options={"ordering": ("-replaced_at", "-pk")},
        ),
        migrations.AddIndex(
            "invoice",
            models.Index(fields=["data"], name="ledger_invo_data_27bee8_lo", opclasses=["varchar_pattern_ops"]),
        ),
        migrations.AddIndex(
            "version",
            models.Index(fields=["data"], name="ledger_vers_data_ef484b_lo", opclasses=["varchar_pattern_ops"]),
        ),
    ]
