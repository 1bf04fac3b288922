from django.db import migrations, models

import pg_lo_storage.fields
from pg_lo_storage.operations import ManageLargeObjects

LIKE = ["varchar_pattern_ops"]


class Migration(migrations.Migration):
    dependencies = [("pg_lo_storage", "0001_initial")]
    operations = [
        migrations.CreateModel(
            "Invoice",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("data", pg_lo_storage.fields.DbFileField()),
                ("copy", pg_lo_storage.fields.DbFileField(blank=True)),
            ],
        ),
        # As makemigrations writes them.
        migrations.AddIndex(
            "Invoice", models.Index(fields=["data"], name="shop_invoic_data_8ce70e_lo", opclasses=LIKE)
        ),
        migrations.AddIndex(
            "Invoice", models.Index(fields=["copy"], name="shop_invoic_copy_05c5d7_lo", opclasses=LIKE)
        ),
        migrations.CreateModel(
            "Scan",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("data", pg_lo_storage.fields.DbFileField(cleanup=False, db_index=True)),
                ("remark", models.TextField(blank=True)),
            ],
        ),
        ManageLargeObjects("Scan", "data"),
    ]
