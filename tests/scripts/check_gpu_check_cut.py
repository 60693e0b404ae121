# What:   scripts/gpu-check where it is cut off: killed at random moments, told to end, beside programs that hang. Every
#         file can be read each time, and holds what was found before. And that its plans fit into what they promise.
# Usage:  check_gpu_check_cut.py PROGRAM ROOT [KILLS]
# SPDX-License-Identifier: Apache-2.0
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
from program import Program
from stand_in import make

FILES = {"summary.md", "checks.json", "ops.json", "quick.json", "batch64.json", "peers.json", "log.txt"}
UNDER_WAY = {".part"}  # what is being written; it is renamed when it is whole


class Cut:
    """A run on a stand-in, in a group of its own."""

    def __init__(self, program, build, out, *words, pace=0.0):
        self.out, self.began = out, time.monotonic()
        environment = {**os.environ, "PATH": f"{build}:{os.environ['PATH']}", "CUDA_HOME": "/nonexistent",
                       "PACE": str(pace)}
        self.process = subprocess.Popen(
            [sys.executable, "-u", str(program.root / "scripts/gpu-check"), str(build), "-o", str(out), "--python",
             str(build / "python-peers"), *words], env=environment, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def stop(self, number=None):
        """(seconds since the signal, what it printed)"""
        sent = time.monotonic()
        if number is not None:
            self.process.send_signal(number)
        text, _ = self.process.communicate(timeout=120)
        return time.monotonic() - sent, text

    def problems(self, printed):
        """What is wrong with the folder, by what had been printed before."""
        wrong, names = [], {file.name for file in self.out.iterdir()} if self.out.exists() else set()
        if not names <= FILES | UNDER_WAY:
            wrong.append(f"files {names - FILES - UNDER_WAY}")
        data = {}
        for name in names & FILES:
            text = (self.out / name).read_text()
            try:
                data[name] = json.loads(text) if name.endswith(".json") else text
            except ValueError as error:
                wrong.append(f"{name}: {error}")
        checks = data.get("checks.json", {"steps": [], "checks": [], "left_out": [], "environment": {}})
        steps = [line.split()[1] for line in printed.splitlines() if line.startswith("== ") and line.endswith(" s)")]
        if [s["step"] for s in checks["steps"]][:len(steps)] != steps:
            wrong.append(f"printed {steps}, written {checks['steps']}")
        # A step that was followed by another has left what it found.
        for step in steps[:-1]:
            found = {"environment": "doctor" in checks["environment"], "quick": "quick.json" in data,
                     "batch64": "batch64.json" in data, "peers": "peers.json" in data}
            if not found.get(step, any(c["step"] == step for c in checks["checks"])):
                wrong.append(f"nothing of {step}")
        if "summary.md" in data and not (data["summary.md"].startswith("# gpu-check\n") and
                                         data["summary.md"].endswith("\n")):
            wrong.append("summary.md is torn")
        if data.get("log.txt") and not (data["log.txt"].startswith("$ ") and data["log.txt"].endswith(" s]\n\n")):
            wrong.append("log.txt is torn")
        return wrong


def plans(program):
    loader = importlib.machinery.SourceFileLoader("gpu_check", str(program.root / "scripts/gpu-check"))
    gpu_check = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_check", loader))
    sys.modules["gpu_check"] = gpu_check  # its dataclasses look themselves up
    loader.exec_module(gpu_check)
    for part, seconds in (("1", 270), ("2", 480), ("all", 540)):
        planned = sum(gpu_check.PLANS[part].values()) + gpu_check.GRACE
        program.that(f"plan {part}: {planned} s", planned <= seconds and 60 * gpu_check.MINUTES[part] <= seconds)
    program.that("conformance", (gpu_check.OP_SECONDS, gpu_check.CONFORMANCE_SECONDS) == (20, 75))


def killed_at_random(program, folder, kills):
    build = make(folder)
    cases = [{"case": "a", "layer": 0}, {"case": "b", "layer": 1}]  # the stand-in reads none of them
    (build / "golden").mkdir()
    (build / "golden/manifest.json").write_text(json.dumps({"cases": cases}))
    whole = Cut(program, build, folder / "whole", pace=0.02)
    torn, growing = [], {}
    while whole.process.poll() is None:  # what prints fits into the pipe
        torn += whole.problems("")
        file = whole.out / "checks.json"
        if file.exists():
            now = json.loads(file.read_text())
            for step in [s["step"] for s in now["steps"]][-1:]:
                growing.setdefault(step, set()).add(sum(c["step"] == step for c in now["checks"]))
        time.sleep(0.002)
    took, text = time.monotonic() - whole.began, whole.stop()[1]
    program.that("whole at every look", not torn, torn)
    program.that("each check is written when it is done", len(growing["goldens"]) >= 3 and len(growing["ops"]) >= 9,
                 growing)
    program.that("not cut off: all files", {f.name for f in whole.out.iterdir()} == FILES and
                 whole.problems(text) == [] and whole.process.returncode == 0, text)
    chance, reached = random.Random(11), set()
    for i in range(kills):
        cut = Cut(program, build, folder / f"cut{i}", pace=0.02)
        time.sleep(took * (i + chance.random()) / kills)
        number = signal.SIGTERM if i % 3 == 2 else signal.SIGKILL
        seconds, printed = cut.stop(number)
        reached.add(([line.split()[1] for line in printed.splitlines() if line.startswith("== ")] or [""])[-1])
        wrong = cut.problems(printed)
        program.that(f"{number.name}, {i + 1} of {kills}", not wrong, wrong)
        program.that("SIGTERM: at its end soon", seconds < 30, seconds)
    program.that("it was cut off in many places", len(reached) > min(5, kills // 2), reached)


def in_the_middle(program, folder):
    """What layercost run has written so far is kept; when the time is up it may finish its file."""
    build = make(folder, "slow_run")
    cut = Cut(program, build, folder / "killed", "--part", "1")
    kept, deadline = cut.out / "quick.json", time.monotonic() + 60
    while not kept.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    _, printed = cut.stop(signal.SIGKILL)
    program.that("killed in the middle of quick", kept.exists() and
                 json.loads(kept.read_text())["complete"] is False and not cut.problems(printed), printed)

    cut = Cut(program, build, folder / "told", "--part", "1")
    kept = cut.out / "quick.json"
    while not kept.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    seconds, printed = cut.stop(signal.SIGTERM)
    program.that("told to end: in time", seconds < 30, seconds)
    program.that("told to end: the program finished its file", json.loads(kept.read_text()).get("finished_after") ==
                 "SIGTERM" and cut.process.returncode == 1, printed)

    cut = Cut(program, build, folder / "late", "--part", "1", "--minutes", "0.3")
    seconds, printed = cut.stop()
    left = json.loads((cut.out / "checks.json").read_text())["left_out"]
    program.that("out of time: in time", seconds < 18 + 12, seconds)
    program.that("out of time: the program finished its file",
                 json.loads((cut.out / "quick.json").read_text()).get("finished_after") == "SIGTERM", printed)
    program.that("out of time: said", [(r["step"], r["for_time"]) for r in left] == [("quick: the rest", True)] and
                 cut.process.returncode == 1, left)


def hangs(program, folder):
    cut = Cut(program, make(folder, "hang"), folder / "one", "--part", "1")
    seconds, printed = cut.stop()
    told = json.loads((cut.out / "checks.json").read_text())
    checks, seconds = told["checks"], told["steps"][1]["seconds"]
    seen = {c["name"]: c["ok"] for c in checks if c["step"] == "conformance"}
    program.that("a hang costs one op", seen.get("attention") is False and seen.get("rms_norm cuda_rows") is True and
                 seen.get("attention cuda_first") is True and 20 < seconds < 45, (seconds, seen))
    program.that("a hang: the other steps follow", any(c["step"] == "ops" and c["ok"] for c in checks) and
                 (cut.out / "quick.json").exists(), checks)

    cut = Cut(program, make(folder, "hang_all"), folder / "all", "--part", "1", "--minutes", "0.4")
    seconds, printed = cut.stop()
    program.that("all hang, deaf to SIGTERM: in time", seconds < 24 + 12, (seconds, printed))
    program.that("all hang: whole files", not cut.problems("") and cut.process.returncode == 1, printed)


def main():
    program = Program(sys.argv)
    kills = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    with program.scratch() as folder:
        plans(program)
        killed_at_random(program, folder, kills)
        in_the_middle(program, folder)
        hangs(program, folder)
    return program.finish()


sys.exit(main())
