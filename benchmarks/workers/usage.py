"""What a process costs, read from Linux's ``/proc``; see proc(5)."""

import os
from pathlib import Path


class Usage:
    """The processor time and the memory of a process, from when this is made."""

    def __init__(self, pid: int | None = None) -> None:
        self._pid = pid or os.getpid()
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")  # the peak begins anew
        self._resident = _status(self._pid, "VmRSS:")
        self._cpu = cpu_seconds(self._pid)

    def cpu(self) -> float:
        """Return the seconds of processor time since."""
        return cpu_seconds(self._pid) - self._cpu

    def memory(self) -> int:
        """Return by how many bytes the process has grown at most."""
        return max(0, _status(self._pid, "VmHWM:") - self._resident)


def cpu_seconds(pid: int | None) -> float:
    """Return the seconds of processor time of all threads of a process; of an unknown one 0."""
    if pid is None:
        return 0
    nanoseconds = (task.joinpath("schedstat").read_text().split()[0] for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(map(int, nanoseconds)) / 1e9


def _status(pid: int, field: str) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition(field)[2].split()[0]) * 1024
