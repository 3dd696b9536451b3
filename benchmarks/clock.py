"""What a process takes of the processor, read fine enough for a round of a benchmark."""

from __future__ import annotations

import time

# of the clocks of a process, the one that clock_getcpuclockid gives: all its threads, those that have ended included
_SCHEDULED = 2


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has taken, by its own clock: what /proc tells is in hundredths of a second."""
    return time.clock_gettime(~pid << 3 | _SCHEDULED)
