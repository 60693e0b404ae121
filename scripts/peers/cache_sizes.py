# SPDX-License-Identifier: Apache-2.0
"""The last-level caches above the CPUs that a process may use: what weights that shall be cold must not fit."""

import os
from pathlib import Path


def last_level_cache_bytes(cpus, root=Path("/")):
    """Of each CPU the cache of its highest level, each cache once; 0 where the system reports none."""
    caches = {}
    for cpu in cpus:
        last = (0, None, 0)
        for entry in (root / f"sys/devices/system/cpu/cpu{cpu}/cache").glob("index*"):
            def said(name, entry=entry):
                return (entry / name).read_text().strip() if (entry / name).exists() else ""
            size, level = said("size"), said("level")
            if said("type") == "Instruction" or not level.isdigit() or size[-1:] not in ("K", "M"):
                continue
            bytes_ = int(size[:-1]) << {"K": 10, "M": 20}[size[-1]]
            last = max(last, (int(level), said("shared_cpu_list"), bytes_), key=lambda one: one[0])
        if last[0]:
            caches[last[:2]] = last[2]
    return sum(caches.values())


# Of this machine, before any library binds the thread that asks; 32 MiB where nothing is reported.
HERE_BYTES = last_level_cache_bytes(os.sched_getaffinity(0)) or 32 << 20
