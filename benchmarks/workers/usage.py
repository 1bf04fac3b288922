"""What a process costs, read from Linux's clocks and ``/proc``; see clock_getcpuclockid(3) and proc(5)."""

import os
import time
from pathlib import Path
from typing import Final

# The clock of a process's processor time is its number, negated, above these bits; see the C library's
# clock_getcpuclockid(). It has the threads that have ended, too.
_BITS_OF_KIND: Final = 3
_SCHEDULED: Final = 2


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
    """Return the seconds of processor time of a process, with all threads that it has and had; of an unknown one 0."""
    return 0 if pid is None else time.clock_gettime((~pid << _BITS_OF_KIND) | _SCHEDULED)


def tree_cpu(pid: int) -> float:
    """Return the seconds of processor time of a process and of all children that it has and had."""
    reaped = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_seconds(pid) + sum(map(int, reaped)) / os.sysconf("SC_CLK_TCK") + sum(map(_cpu_of_child, children))


def _cpu_of_child(pid: str) -> float:
    try:
        return cpu_seconds(int(pid))
    except OSError:  # it has just ended
        return 0


def _status(pid: int, field: str) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition(field)[2].split()[0]) * 1024
