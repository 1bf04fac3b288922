"""What runs in the environments of the contenders: ``python -m benchmarks.workers``, the job in the environment."""
