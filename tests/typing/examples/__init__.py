"""The documentation's examples as a user's type checker sees them: checked by tests/typing/check.py, never run.

``# E: why`` marks a line that every checker must refuse, ``# E[a b | c]: why`` one that is refused only where both
``a`` and ``b`` apply, or ``c``: a checker, an environment or a kind of stubs of check.py. All else is a deviation.
"""
