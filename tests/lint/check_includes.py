# What:   each floor of the house includes only what lies below it; each outside library that is shut into one file
#         stays there.
# Usage:  check_includes.py ROOT
# SPDX-License-Identifier: Apache-2.0
import pathlib
import re
import sys

from files import all_files, report

# Folder -> what it may include besides itself. Ops (every other folder of kernels/) never include one another.
CORE, RUNTIME, CONTRACT = "kernels/core", "kernels/runtime", "kernels/contract"
SPEC, PLAN, RESULT, MEASURE = "harness/spec", "harness/plan", "harness/result", "harness/measure"
COST, REPORT = "harness/cost", "harness/report"
SIMT = "kernels/simt"
# What variants of several ops share: on a CPU, on a GPU, of a library.
CPU, CUDA, LIBRARIES = "kernels/cpu", "kernels/cuda", "kernels/libraries"
BELOW_OPS = [CORE, RUNTIME, CONTRACT, SIMT]
MAY = {
    CORE: [],
    SIMT: [],
    RUNTIME: [CORE, SIMT],
    CONTRACT: [CORE, RUNTIME],
    CPU: BELOW_OPS,
    CUDA: BELOW_OPS,
    LIBRARIES: BELOW_OPS + [CPU],
    SPEC: [CORE],
    PLAN: [CORE, RUNTIME, CONTRACT, SPEC],
    RESULT: [CORE, RUNTIME, CONTRACT, SPEC],
    MEASURE: [CORE, SIMT, RUNTIME, CONTRACT, CPU, CUDA, LIBRARIES, SPEC, PLAN, RESULT],
    COST: [CORE, SPEC, RESULT],
    REPORT: [CORE, SPEC, RESULT, COST],
    "harness/cli": [CORE, RUNTIME, CONTRACT, SPEC, PLAN, RESULT, MEASURE, COST, REPORT],
}
OP_MAY = BELOW_OPS + [CPU, CUDA, LIBRARIES]
# Single headers that a floor may not know although it may use the folder.
NEVER = {MEASURE: ["harness/spec/price_spec.h"], "kernels/": ["harness/"]}
ONE_FILE = {"benchmark/": 1, "oneapi/dnnl/": 1, "dnnl.": 1, "cudnn": 1, "hwloc": 1}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def main():
    root = pathlib.Path(sys.argv[1])
    problems, looked_at = [], 0
    users = {library: [] for library in ONE_FILE}
    for name in all_files(root):
        folder = "/".join(name.split("/")[:2])
        if not re.search(r"\.(cpp|h|cu|cuh|inc)$", name):
            continue
        includes = INCLUDE.findall((root / name).read_text())
        for library in ONE_FILE:
            if any(target.startswith(library) for _, target in includes):
                users[library].append(name)
        if name.count("/") < 2 or name.split("/")[0] not in ("kernels", "harness"):
            continue
        looked_at += 1
        may = MAY.get(folder, OP_MAY if folder.startswith("kernels/") else None)
        if may is None:
            problems.append(f"{name}: {folder} is no floor that tests/lint/check_includes.py knows")
            continue
        for _, target in includes:
            parts = target.split("/")
            if parts[0] in ("kernels", "harness", "tests"):
                other = "/".join(parts[:2])
                if other != folder and other not in may:
                    allowed = ", ".join(may) or "itself"
                    problems.append(f"{name}: includes {target}; {folder} may include only {allowed}")
                for start, banned in NEVER.items():
                    if name.startswith(start) and any(target.startswith(b) for b in banned):
                        problems.append(f"{name}: includes {target}, which {start} may not know")
    for library, most in ONE_FILE.items():
        if len(users[library]) > most:
            problems.append(f"<{library}...>: at most {most} file may include it, not {', '.join(users[library])}")
    return report("includes", problems, looked_at)


sys.exit(main())
