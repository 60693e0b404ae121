# What:   what goes to a person never costs a measurement: a terminal that went away, closed descriptors, full devices,
#         pipes that nobody reads, SIGHUP; and a table that could not be written is exit code 1. What failed is measured
#         again by --resume.
# Usage:  streams.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import json
import os
import pty
import signal
import subprocess
import sys
import time

from program import Program

RESULT = "results/2026-11-22_xeon-amx-2-threads_quick.json"
RUN = ["run", "-m", "small", "--device", "cpu", "--phase", "decode", "-b", "4", "-c", "16", "--seconds", "0.02"]


def full():
    return open("/dev/full", "w")


def unread():
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


def gone():
    """A terminal whose other end was closed: writing to it is an input/output error."""
    master, slave = pty.openpty()
    os.close(master)
    return os.fdopen(slave, "w")


class Streams(Program):
    def to(self, words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, closed=()):
        """Runs with these in the places of standard output and error; `closed`: descriptors that are not open."""
        def before():
            for descriptor in closed:
                os.close(descriptor)
        done = subprocess.run([self.path, *map(str, words)], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=stdout,
                              stderr=stderr, preexec_fn=before, text=True, errors="replace", timeout=300)
        for stream in (stdout, stderr):
            if hasattr(stream, "close"):
                stream.close()
        return done

    def result(self, name):
        return json.loads((self.folder / name).read_text())


def parts_of(result):
    return [part for point in result["points"] for part in point["parts"]]


def output(program):
    that = program.that
    commands = [["list", "ops"], ["list", "models"], ["plan", "-m", "qwen3-4b"], ["doctor", "--no-probe"], ["--help"],
                ["--version"], [], ["run", "--help"], ["report", program.root / RESULT],
                ["cost", program.root / RESULT, "--price", "1/h", "--format", "csv"],
                ["check", "--device", "cpu", "--op", "rms_norm"]]
    for words in commands:
        name = " ".join(map(str, words[:2]))[:40]
        done = program.to(words, stdout=full())
        that(f"'{name}' on a full device: exit code 1", done.returncode == 1, (done.returncode, done.stderr))
        that(f"'{name}' on a full device: said", done.stderr.startswith("layercost: standard output"), done.stderr)
    for words in (["list", "ops"], ["report", program.root / RESULT]):
        done = program.to(words, stdout=unread())
        that(f"'{words[0]}' to a pipe that nobody reads", done.returncode == 1, done.returncode)
        done = program.to(words, closed=[1])
        that(f"'{words[0]}' >&-", done.returncode == 1, done.returncode)
    done = program.to(["report", program.root / RESULT, "-o", "quiet.md"], closed=[0, 1, 2])
    that("nothing to say and nowhere to say it: exit code 0", done.returncode == 0, done.returncode)
    that("and a file whole", (program.folder / "quiet.md").read_text().startswith("#"))
    for title, how in (("2>/dev/full", {"stderr": full()}), ("2>&-", {"closed": [2]}), ("a terminal that is gone",
                                                                                       {"stderr": gone()})):
        done = program.to(["plan", "-m", "nothing"], **how)
        that(f"bad input, {title}: exit code 2", done.returncode == 2, done.returncode)


def measuring(program):
    that = program.that
    places = [("2>/dev/full", {"stderr": full()}, 0), ("2>&-", {"closed": [2]}, 0),
              ("a terminal that is gone", {"stderr": gone()}, 0), (">/dev/full", {"stdout": full()}, 1),
              ("a pipe that nobody reads", {"stdout": unread(), "stderr": unread()}, 1)]
    for number, (title, how, code) in enumerate(places):
        name = f"out{number}.json"
        done = program.to([*RUN, "--rounds", "1", "-o", name], **how)
        that(f"run, {title}: exit code {code}", done.returncode == code, (done.returncode, done.stderr))
        result = program.result(name)
        outcomes = [(part["outcome"], part["why"], len(part["rounds"])) for part in parts_of(result)]
        that(f"run, {title}: all was measured", result["complete"] and outcomes == [("measured", "", 1)] * 2, outcomes)
        if code == 0:
            that(f"run, {title}: the table is there", "small" in done.stdout, done.stdout)

    # What a run that lost its terminal left behind with earlier programs.
    broken = program.result("out0.json")
    layer, head = parts_of(broken)
    layer.update(outcome="failed", why="cannot write to file: Input/output error", rounds=[])
    head.update(outcome="failed", why="cannot write to file: Input/output error")
    (program.folder / "failed.json").write_text(json.dumps(broken))
    program.expect("resume of what failed", [*RUN, "--rounds", "2", "--resume", "failed.json"], 0)
    outcomes = [(part["outcome"], part["why"], len(part["rounds"])) for part in parts_of(program.result("failed.json"))]
    that("what failed is measured again", outcomes == [("measured", "", 2)] * 2, outcomes)
    kept = parts_of(broken)[1]["rounds"][0]["samples"]
    that("and what it had is kept", parts_of(program.result("failed.json"))[1]["rounds"][0]["samples"] == kept)


def hang_up(program, ignored):
    """SIGHUP in the first round; under nohup it is ignored from the beginning."""
    that, name = program.that, "nohup.json" if ignored else "hup.json"
    file = program.folder / name
    before = (lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) if ignored else None
    process = subprocess.Popen([program.path, *RUN, "--rounds", "3", "-o", name], cwd=program.folder, preexec_fn=before,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None and not file.exists():
        time.sleep(0.02)
    time.sleep(0.2)  # the handler is installed after the first file was written
    process.send_signal(signal.SIGHUP)
    _, said = process.communicate(timeout=300)
    complete = program.result(name)["complete"]
    if ignored:
        that("nohup: measured to the end", (process.returncode, complete) == (0, True), (process.returncode, said))
        return
    that("SIGHUP: exit code 1, incomplete", (process.returncode, complete) == (1, False), (process.returncode, said))
    that("SIGHUP: says how to go on", "--resume hup.json" in said, said)
    program.expect("SIGHUP: it can be resumed", [*RUN, "--rounds", "3", "--resume", name], 0)


def without_sysfs(program):
    """As in a container that has none, for hwloc; and where it is told of another machine."""
    (program.folder / "nothing").mkdir()
    for name, value in (("HWLOC_FSROOT", program.folder / "nothing"), ("HWLOC_SYNTHETIC", "l3:8(size=1000) pu:1")):
        done = subprocess.run([program.path, "doctor", "--no-probe"], capture_output=True, text=True, timeout=60,
                              env={**os.environ, name: str(value)})
        program.that(f"{name}: nothing on standard error, and not believed",
                     (done.returncode, done.stderr) == (0, "") and "hwloc" not in done.stdout, done)


def main():
    program = Streams(sys.argv)
    with program.scratch() as folder:
        program.plant_small()
        output(program)
        measuring(program)
        without_sysfs(program)
        for ignored in (False, True):
            hang_up(program, ignored)
    return program.finish()


sys.exit(main())
