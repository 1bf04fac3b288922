"""The application of the rows that have files."""

from django.apps import AppConfig


class Papers(AppConfig):
    """Has the models."""

    name = "benchmarks.workers.site"
    label = "papers"
