"""The READMEs of pg-lo-storage 0.2.2 and warehouse-py, run on this package.

``lo_storage`` is the README of pg-lo-storage 0.2.2, and of warehouse-py 0.2 with ``warehouse`` renamed to
``pg_lo_storage``; ``warehouse`` is that of older warehouse-py, with the same renaming. Types are annotated where
they were not; what else differs from the text is said where it does.
"""
