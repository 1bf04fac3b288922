"""Comparisons of speed and memory, as ratios within one run: ``just bench``; also ``python -m benchmarks.serving``,
``python -m benchmarks.readers`` and ``python -m benchmarks.sessions``, for what slow clients, many tasks and long
sessions do.
"""
