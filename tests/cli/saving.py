# What:   the file of a run: what is there already is never lost, one run at a time writes a name, and a disk that is
#         full or a folder that goes away in the middle costs neither the measurement nor the table. Runs side by side
#         have CPUs of their own.
# Usage:  saving.py PROGRAM ROOT
# Rules:  `held` runs are stopped (SIGSTOP) as soon as their file is there, so that they are looked at in the middle.
# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

from program import Program

RUN = ["run", "-m", "small", "--device", "cpu", "--phase", "decode", "-b", "4", "-c", "16", "--seconds", "0.02"]
OLD = '{"an": "older result"}'


class Saving(Program):
    def complete(self, name):
        return json.loads((self.folder / name).read_text())["complete"]

    def names(self, pattern):
        return sorted(path.name for path in self.folder.glob(pattern))

    @contextlib.contextmanager
    def held(self, words, file):
        """A run in the middle: its file is there and holds less than everything."""
        process = subprocess.Popen([self.path, *RUN, *words], cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline, place = time.monotonic() + 200, (self.folder / file).parent
        while time.monotonic() < deadline and process.poll() is None and (  # not in the middle of a save
                not (self.folder / file).exists() or list(place.glob(".*.tmp"))):
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def go_on(self, process):
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err


def existing(program):
    """-o of a file that is there: refused, or with --force replaced at the end."""
    that, file = program.that, program.folder / "old.json"
    file.write_text(OLD)
    file.chmod(0o600)
    program.expect("a result that exists", [*RUN, "-o", "old.json"], 2, ["old.json", "--force", "--resume"])
    that("a result that exists stays", file.read_text() == OLD, file.read_text())
    with program.held(["--rounds", "2", "-o", "old.json", "--force"], "old.partial.json") as process:
        that("--force: untouched in the middle", file.read_text() == OLD)
        that("--force: the new one grows beside it", not program.complete("old.partial.json"))
        program.expect("--force twice at once", [*RUN, "-o", "old.json", "--force"], 2, ["another run"])
        code, _, said = program.go_on(process)
    that("--force: exit code 0", code == 0, said)
    that("--force: replaced by the complete one",
         program.complete("old.json") and program.names("old*") == ["old.json"], program.names("old*"))
    that("0600 stays 0600", stat.S_IMODE(file.stat().st_mode) == 0o600, oct(file.stat().st_mode))

    file.write_text(OLD)
    with program.held(["--rounds", "3", "-o", "old.json", "--force"], "old.partial.json") as process:
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        code, _, said = program.go_on(process)
    words = ["--resume", "old.partial.json", "-o", "old.json", "--force"]
    that("--force, stopped: exit code 1, says how to go on", code == 1 and " ".join(words) in said, said)
    that("--force, stopped: the old one stays", file.read_text() == OLD and "old.json is unchanged" in said, said)
    that("--force, stopped: the new one is beside it", not program.complete("old.partial.json"))
    program.expect("--force: what was measured is not lost either", [*RUN, "-o", "old.json", "--force"], 2,
                   ["old.partial.json", "--resume"])
    program.expect("--force, gone on with", [*RUN, "--rounds", "3", *words], 0)
    that("--force, gone on with: replaced", program.complete("old.json") and program.names("old*") == ["old.json"],
         program.names("old*"))


def one_at_a_time(program):
    that = program.that
    with program.held(["--rounds", "2", "-o", "one.json"], "one.json") as process:
        comm = Path(f"/proc/{process.pid}/comm").read_text().strip()
        that("ps, top and pkill know it by its name", comm == Path(program.path).name[:15], comm)
        program.expect("two runs on one path", [*RUN, "-o", "one.json"], 2, ["one.json"])
        program.expect("resume of a run that still runs", [*RUN, "--rounds", "2", "--resume", "one.json"], 2,
                       ["one.json", "another run"])
        program.expect("a run with --force on it", [*RUN, "-o", "one.json", "--force"], 2, ["one.json", "another run"])
        before = (program.folder / "one.json").read_bytes()
        that("the first one's file stays", not json.loads(before)["complete"])
        code, _, said = program.go_on(process)
    that("the first run ends well", code == 0 and program.complete("one.json"), said)
    program.expect("--resume goes on in its file", [*RUN, "--rounds", "3", "--resume", "one.json"], 0)
    rounds = [len(part["rounds"]) for point in json.loads((program.folder / "one.json").read_text())["points"]
              for part in point["parts"]]
    that("and adds to it", rounds == [3, 3], rounds)
    # The name is given to another file meanwhile: neither is lost.
    with program.held(["--rounds", "2", "-o", "swap.json"], "swap.json") as process:
        (program.folder / "swap.json").unlink()
        (program.folder / "swap.json").write_text(OLD)
        code, _, said = program.go_on(process)
    that("another file of the name stays", (program.folder / "swap.json").read_text() == OLD)
    that("and the result is beside it", code == 0 and program.complete("swap-2.json") and "swap-2.json" in said, said)


def default_names(program):
    """Four runs that begin in the same second, or nearly: each has a file of its own."""
    command = [program.path, *RUN, "--rounds", "1", "--no-head", "--threads", "1"]
    runs = [subprocess.Popen(command, cwd=program.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [run.communicate(timeout=300)[1].strip().splitlines()[-1] for run in runs]
    names = program.names("layercost-*.json")
    program.that("default names are each run's own", len(set(said)) == 4 and len(names) == 4 and
                 all(map(program.complete, names)), (said, names))
    program.that("of one second: -2", any(name.endswith("Z-2.json") for name in names), names)
    for name in names:
        (program.folder / name).unlink()


def other_cpus(program):
    """Two runs of one thread each, the first one in the middle: they do not sit on one CPU."""
    that, words = program.that, ["--rounds", "1", "--no-head", "--threads", "1"]

    def environment(name):
        return json.loads((program.folder / name).read_text())["environment"]

    with program.held([*words, "-o", "first.json"], "first.json"):
        program.expect("a second run beside it", [*RUN, *words, "-o", "second.json"], 0)
    first, second = environment("first.json"), environment("second.json")
    for name, e in (("first", first), ("second", second)):
        topology = e["topology"]
        cpus = len(os.sched_getaffinity(0))
        that(f"{name}: the topology is there", topology["cpus"] == cpus and topology.get("cores", 1) <= cpus and
             sum(kind["cpus"] for kind in topology["kinds"]) in (0, cpus), topology)
        that(f"{name}: one CPU of ours", len(topology["thread_cpus"]) == 1 and e["threads_pinned"] and
             set(topology["thread_cpus"]) <= os.sched_getaffinity(0), topology)
    if len(os.sched_getaffinity(0)) > 1:
        that("each has a CPU of its own", first["topology"]["thread_cpus"] != second["topology"]["thread_cpus"],
             (first["topology"], second["topology"]))
    for name in ("first.json", "second.json"):
        (program.folder / name).unlink()


def trouble(program):
    that, folder = program.that, program.folder

    def no_space(process):
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    with program.held(["--rounds", "2", "-o", "full.json"], "full.json") as process:
        no_space(process)
        code, out, said = program.go_on(process)
    that("a full disk: exit code 1", code == 1, (code, said))
    that("a full disk: the table is there", "small" in out and "PRELIMINARY" in out, out)
    that("a full disk: said", said.count("tried again") <= 1 and "could not be saved: full.json" in said, said)
    that("a full disk: what was saved stays", not program.complete("full.json") and program.names(".full*") == [],
         program.names(".full*"))

    (folder / "here").mkdir()
    with program.held(["--rounds", "2", "-o", "here/r.json"], "here/r.json") as process:
        (folder / "here").rename(folder / "there")
        code, out, said = program.go_on(process)
    that("a renamed folder: exit code 1, with a table", code == 1 and "small" in out, (code, said))
    that("a renamed folder: said", "could not be saved: here/r.json" in said, said)

    # The trouble passes; saving is tried every two seconds.
    (folder / "there").rename(folder / "here")
    (folder / "here/r.json").unlink()
    with program.held(["--rounds", "1000", "-o", "here/r.json"], "here/r.json") as process:
        (folder / "here").rename(folder / "there")
        process.send_signal(signal.SIGCONT)
        warning = os.read(process.stderr.fileno(), 4096).decode()
        deadline = time.monotonic() + 100
        while "tried again" not in warning and time.monotonic() < deadline:
            warning += os.read(process.stderr.fileno(), 4096).decode()
        time.sleep(2.5)  # another save fails
        (folder / "there").rename(folder / "here")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    that("a folder that comes back: told once", (warning + said).count("tried again") == 1, warning + said)
    result = json.loads((folder / "here/r.json").read_text())
    rounds = [len(part["rounds"]) for point in result["points"] for part in point["parts"]]
    that("a folder that comes back: it is saved", max(rounds) >= 1 and "what was measured is in" in said, rounds)


def main():
    program = Saving(sys.argv)
    with program.scratch() as folder:
        program.plant_small()
        existing(program)
        one_at_a_time(program)
        default_names(program)
        other_cpus(program)
        trouble(program)
        left = sorted(path.name for path in folder.rglob("*"))
        program.that("nothing else is left behind", left == [
            "config.json", "full.json", "here", "old.json", "one.json", "r.json", "small", "swap-2.json", "swap.json"],
            left)
    return program.finish()


sys.exit(main())
