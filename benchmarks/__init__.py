"""Comparisons of speed and memory, as ratios within one run: ``just bench``; also ``python -m benchmarks.serving`` and
``python -m benchmarks.readers``, for what slow clients and many tasks do.
"""
