"""A Django app whose files are cleaned up; it has no migrations, ``migrate --run-syncdb`` makes its tables."""
