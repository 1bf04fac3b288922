from django.db import migrations, models

import pg_lo_storage.fields
from pg_lo_storage.operations import ManageLargeObjects


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
