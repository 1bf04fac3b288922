"""Keeps, rolls back, deletes and serves files on a real server, on both drivers; run it by ``just demo``."""
