"""How a stored file becomes a response by RFC 9110; :mod:`pg_lo_storage.views` is what projects use."""
