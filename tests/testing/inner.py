"""A pytest within the one that runs: without its plugins, settings and output."""

from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHOUT = ["cacheprovider", "terminal", "logging", "unraisableexception", "threadexception"]
ARGUMENTS = ["--config-file=/dev/null", f"--rootdir={ROOT}", "--noconftest", *(f"-pno:{name}" for name in WITHOUT)]


def run_pytest(*arguments: str, plugins: Sequence[object]) -> int:
    """Run pytest with these arguments and plugins; return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        return pytest.main([*ARGUMENTS, *arguments], plugins=plugins)
