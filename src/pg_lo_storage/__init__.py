"""Files in PostgreSQL large objects."""
