"""The first tables."""

from django.conf import settings
from django.db import migrations, models

import pg_lo_storage.fields


class Migration(migrations.Migration):
    """Invoices."""

    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]  # noqa: RUF012 -- Django's own form
    operations = [  # noqa: RUF012
        migrations.CreateModel(
            name="Invoice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("data", pg_lo_storage.fields.DbFileField()),
                ("owner", models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)),
            ],
        ),
    ]
