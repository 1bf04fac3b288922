"""A small Django project whose users keep invoices, each with its file; only the owner reads it."""
