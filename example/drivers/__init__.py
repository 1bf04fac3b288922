"""Drivers for connections that pg_lo_storage does not know itself: an example of how to write one."""
