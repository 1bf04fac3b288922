"""A Django app whose files move; it has no migrations, ``migrate --run-syncdb`` makes its tables."""
