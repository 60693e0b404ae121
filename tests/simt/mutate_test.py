# What:   tests/simt/mutate says what is true: which fault is killed and by what, which survives, which does not apply.
# Usage:  mutate_test.py ROOT BUILD
# SPDX-License-Identifier: Apache-2.0
import json
import pathlib
import subprocess
import sys
import tempfile

root, build = map(pathlib.Path, sys.argv[1:3])

KERNEL = "rms_norm_cuda_rows"
PROBE = "read_probe_cuda"
RACES = sys.argv[3] == "ON"
LANE_0 = "if (lane() == 0) s.of_warp[warp()] = sum;"

# exit status, and for each fault of a file: find, replace, what is printed about it
CASES = {
    "killed": (0 if RACES else 1, PROBE, [
        ("word[2] + v[j].word[3]", "word[2]", "killed by value"),
        ("  sync_block();\n  if (warp() != 0) return;", "  if (warp() != 0) return;\n  sync_block();",
         "killed by executor fault"),
        ("i + j * step < n ?", "i + j * step <= n ?", "killed by address"),
        (LANE_0, "s.of_warp[warp()] = sum;", "killed by race" if RACES else "SURVIVED"),  # all lanes, the same value
    ]),
    "survives": (1, PROBE, [(LANE_0, LANE_0.replace("== 0", "< 1"), "SURVIVED")]),
    "does not apply": (2, PROBE, [("no such text", "", "ERROR"), ("lane()", "0", "ERROR")]),
    "does not compile": (2, PROBE, [(LANE_0, "no_such_name();", "ERROR does not compile")]),
    "no such kernel": (2, "no_such_kernel", [("a", "b", "no test of this name")]),
}


def mutate(*arguments):
    done = subprocess.run([root / "tests/simt/mutate", "--no-build", "--build", build, *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


failures = 0
for title, (status, stem, faults) in CASES.items():
    with tempfile.TemporaryDirectory() as scratch:
        entries = [{"what": f"fault {i}", "find": f, "replace": r} for i, (f, r, _) in enumerate(faults)]
        (pathlib.Path(scratch) / f"{stem}.json").write_text(json.dumps(entries))
        got, output = mutate("--faults", scratch)
    lines = output.splitlines()
    good = got == status
    for i, (_, _, expected) in enumerate(faults):
        good &= any(expected in line and (f"fault {i}:" in line or status == 2) for line in lines)
    failures += not good
    print(f"{'ok' if good else 'WRONG':<6}{title}: exit {got}\n{output}")

# The faults of one kernel as they are in the tree.
got, output = mutate("--most", "2", KERNEL)
good = got == 0 and "killed" in output
failures += not good
print(f"{'ok' if good else 'WRONG':<6}{KERNEL}: exit {got}\n{output}")
sys.exit(1 if failures else 0)
