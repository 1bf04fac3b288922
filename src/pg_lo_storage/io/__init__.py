"""A large object as a Python binary file, over a driver: https://docs.python.org/3/library/io.html."""

from pg_lo_storage.io.file import LargeObjectIO
from pg_lo_storage.io.modes import BinaryMode

__all__ = ["BinaryMode", "LargeObjectIO"]
