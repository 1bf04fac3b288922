"""Asynchronous tests are of psycopg 3, but for asyncpg's and those of the storage (test_a...)."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("psycopg") else ["test_[!a]*.py"]
