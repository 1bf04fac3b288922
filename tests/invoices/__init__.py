"""A Django app as a user would write one; it has no migrations, ``migrate --run-syncdb`` makes its tables."""
