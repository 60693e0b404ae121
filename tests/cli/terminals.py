# What:   the program at terminals of 60, 80 and 120 columns, at ones that show less, and at none; what shells complete;
#         the manual page; and how soon it answers when it is told to stop.
# Usage:  terminals.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

from program import Program

RESULTS = ["results/2026-11-23_xeon-amx-2-threads_quick.json", "results/2026-11-23_xeon-amx-2-threads_race.json",
           "results/2026-11-28_amd-epyc-2-threads_race_formats.json",
           "results/2026-11-28_h100-80gb-hbm3_quick-gpu.json"]
GPU = RESULTS[-1]
SMALL = ["run", "-m", "small", "--device", "cpu", "--phase", "decode", "-b", "4", "-c", "16", "--seconds", "0.02",
         "--rounds", "1"]
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Terminals(Program):
    def at(self, columns, words, **variables):
        """What a terminal of that many columns receives, and the exit code."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        base = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "LC_ALL", "LC_CTYPE", "LANG")}
        process = subprocess.Popen([self.path, *map(str, words)], cwd=self.folder, stdin=slave, stdout=slave,
                                   stderr=slave, env={**base, "TERM": "xterm", **variables})
        os.close(slave)
        received, deadline = b"", time.monotonic() + 300
        while time.monotonic() < deadline:
            if not select.select([master], [], [], 1)[0]:
                continue
            try:
                block = os.read(master, 1 << 16)
            except OSError:  # the other end was closed
                break
            if not block:
                break
            received += block
        os.close(master)
        return received.decode(errors="replace").replace("\r\n", "\n"), process.wait(timeout=60)


def widest(text):
    return max(text.splitlines(), key=len, default="")


def bare(painted):
    """Without colours, and without the blanks at the ends of lines that they hold together."""
    return "".join(line.rstrip() + "\n" for line in ESCAPE.sub("", painted).splitlines())


def widths(program):
    commands = [["report", program.root / r] for r in RESULTS]
    commands += [[*c, "-v", "--explain"] for c in commands]
    commands += [["list", what] for what in ("models", "closed", "ops", "variants", "formats", "devices", "prices",
                                             "hardware", "suites")]
    commands += [[name, "--help"] for name in ("run", "check", "plan", "project", "list", "report", "cost", "merge",
                                               "ops", "doctor", "completion")]
    commands += [[], ["--help"], ["help", "labels"], ["doctor", "--no-probe"], ["check", "--op", "rms_norm"],
                 ["plan", "-m", "qwen3-30b-a3b", "--phase", "decode"],
                 ["plan", "-m", "deepseek-v3", "--ep", "32", "-b", "64"],
                 ["plan", "-m", "gpt-oss-20b", "--on", "h100-sxm"],
                 ["project", "-m", "deepseek-v3@tp8@ep32", "-b", "64", "--on", "h100-sxm", "--price", "3/h"],
                 ["project", "-m", "qwen3-30b-a3b", "-b", "8", "--on", "h200-sxm", "--efficiency-from",
                  program.root / GPU],
                 ["project", "--published", "--efficiency-from", program.root / GPU],
                 ["run", "--suite", "quick", "--dry-run"], ["run", "--suite", "named", "--dry-run"],
                 ["cost", program.root / RESULTS[0], "--price", "0.31/h"]]
    for columns in (60, 80, 120):
        for words in commands:
            text, code = program.at(columns, words)
            line = widest(ESCAPE.sub("", text))
            name = " ".join(str(word).rsplit("/", 1)[-1] for word in words)
            program.that(f"{name} at {columns} columns", code == 0 and len(line) <= columns,
                         f"exit code {code}, {len(line)}: {line}")
    narrow, _ = program.at(60, commands[0])
    program.that("what had to leave is named", "not shown at 60 columns: tokens/s" in narrow, narrow)
    wide, _ = program.at(120, commands[0])
    program.that("and nothing had to leave a wide one", "not shown" not in wide and "tokens/s" in wide, wide)
    text, _ = program.at(120, commands[0], COLUMNS="60")
    program.that("COLUMNS comes first", ESCAPE.sub("", text) == ESCAPE.sub("", narrow), text)


def looks(program):
    heads = [program.at(80, ["plan", "-m", "qwen3-4b", "--phase", "decode"], NO_COLOR=off)[0] for off in ("", "1")]
    program.that("heads of a plan are the same in colour", bare(heads[0]) == bare(heads[1]), heads[0])
    usage = program.expect("help of a command", ["help", "project"], 0).stdout
    program.that("names it once", "Usage: layercost project [OPTIONS]" in usage, usage)
    for name in ("compare", "claims"):
        text = " ".join(program.expect(name, [name, "--help"], 0).stdout.split())
        program.that(f"{name} --help names no format that it refuses",
                     "table, markdown, csv, json or jsonl" in text and "html" not in text, text)
    words = ["report", program.root / RESULTS[0], "-v"]
    plain, _ = program.at(100, words, NO_COLOR="1")
    painted, _ = program.at(100, words)
    program.that("colours at a terminal", "\x1b[1m" in painted, painted[:200])
    program.that("none with NO_COLOR", "\x1b" not in plain and bare(painted) == plain, plain[:200])
    program.that("none at a dumb one", program.at(100, words, TERM="dumb")[0] == plain)
    program.that("an empty NO_COLOR says nothing", program.at(100, words, NO_COLOR="")[0] == painted)
    for variable in ({"LC_ALL": "C"}, {"LANG": "en_US.ISO-8859-1"}, {"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}):
        text, code = program.at(100, words, NO_COLOR="1", **variable)
        program.that(f"ASCII where {variable} says so",
                     code == 0 and text.isascii() and "+/-" in text and "36x dense" in text, text[:600])
        program.that("of the same lines", len(text.splitlines()) == len(plain.splitlines()), text)
    for variable in ({"LC_ALL": "C.UTF-8", "LANG": "C"}, {"LANG": "de_DE.utf8"}):
        text, _ = program.at(100, words, NO_COLOR="1", **variable)
        program.that(f"all of it where {variable} says so", text == plain, text[:600])
    done = program.run(words)
    program.that("a pipe gets no colours, and a table of 100 columns", done.stdout == plain, done.stdout[:300])


def progress(program):
    text, code = program.at(44, [*SMALL, "-o", "progress.json"], NO_COLOR="1")
    before = text.split(" verdict")[0]
    steps = [step for step in before.split("\r\x1b[K") if step]
    program.that("a run at a narrow terminal", code == 0 and len(steps) > 4, (code, text))
    lines = [line for step in steps for line in step.splitlines()[:1] if line.startswith("[")]
    program.that("progress never wraps", lines and max(map(len, lines)) <= 43, max(lines, key=len, default=""))
    program.that("and never stacks", all("\n" not in step for step in steps if step.startswith("[")), steps)
    dumb, code = program.at(80, [*SMALL, "-o", "dumb.json"], TERM="dumb")
    program.that("a dumb terminal gets plain lines", code == 0 and "\r" not in dumb and "\x1b" not in dumb and
                 "probing" in dumb, dumb)
    quiet, code = program.at(80, [*SMALL, "-q", "-o", "quiet.json"], NO_COLOR="1")
    program.that("-q: the table and nothing else", code == 0 and "\x1b" not in quiet and "[" not in quiet, quiet)
    done = program.expect("-v: every step, and single layers", [*SMALL, "-v", "-o", "verbose.json"], 0,
                          ["checking small moe"], ["3× moe"])
    program.that("each on its line", done.stderr.count("\n[") > 4 and "\r" not in done.stderr, done.stderr)


def shells(program, folder):
    script = folder / "layercost.bash"
    script.write_text(program.expect("bash", ["completion", "bash"], 0).stdout)

    def completed(*words):
        quoted = " ".join(f"'{w}'" for w in words)
        done = subprocess.run(["bash", "-c", f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
                                             'COMPREPLY=(); _layercost; printf "%s\\n" "${COMPREPLY[@]}"'],
                              capture_output=True, text=True, cwd=folder, timeout=60)
        program.that(f"bash: {words}", done.returncode == 0 and not done.stderr, done.stderr)
        return done.stdout.split()

    for words, expected in ((("layercost", "re"), ["report"]),
                            (("layercost", "run", "--rou"), ["--rounds", "--routing"]),
                            (("layercost", "plan", "-m", "qwen3-30b"), ["qwen3-30b-a3b"]),
                            (("layercost", "run", "--suite", "quick-"), ["quick-gpu"]),
                            (("layercost", "list", "mod"), ["models"]), (("layercost", "help", "lab"), ["labels"]),
                            (("layercost", "report", "--format", "js"), ["json", "jsonl"]),
                            (("layercost", "report", "layerc"), ["layercost.bash"])):
        seen = completed(*words)
        program.that(f"bash completes {' '.join(words)}", sorted(seen) == expected, seen)
    for shell, check in (("zsh", ["-n"]), ("fish", ["--no-execute"])):
        text = program.expect(shell, ["completion", shell], 0, stdout=["qwen3-30b-a3b", "weights-format"]).stdout
        (folder / f"layercost.{shell}").write_text(text)
        if shutil.which(shell):
            done = subprocess.run([shell, *check, folder / f"layercost.{shell}"], capture_output=True, text=True,
                                  timeout=60)
            program.that(f"{shell} reads it", done.returncode == 0, done.stderr)
        else:
            print(f"no {shell} here: its completion was not read by it")
    program.expect("completion of no shell", ["completion", "sh"], 2, ["bash, zsh or fish"])

    page = program.expect("man", ["man"], 0,
                          stdout=[".TH LAYERCOST 1", ".SH EXIT STATUS", "\\-\\-fail\\-on VALUE"]).stdout
    program.that("the page is ASCII without stray requests",
                 page.isascii() and not [line for line in page.splitlines() if line.startswith("'")], page[:300])
    requests = {line.split()[0] for line in page.splitlines() if line.startswith(".")}
    program.that("of the few requests that every roff knows", requests <= {".TH", ".SH", ".SS", ".TP", ".B", ".I"},
                 requests)


def stopping(program, folder):
    """Within a second, says the manual; a test on a busy machine allows three."""
    for name, number in (("SIGINT", signal.SIGINT), ("SIGTERM", signal.SIGTERM)):
        out = folder / f"{name}.json"
        process = subprocess.Popen([program.path, "run", "-m", "qwen3-32b", "--device", "cpu", "-o", out.name],
                                   cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        said = process.stderr.readline()
        program.that(f"{name}: it probes first", "probing" in said, said)
        begin = time.monotonic()
        process.send_signal(number)
        _, rest = process.communicate(timeout=120)
        took = time.monotonic() - begin
        program.that(f"{name} while probing: exit code 1", process.returncode == 1, (process.returncode, rest))
        program.that(f"{name} while probing: answers soon", took < 3, f"{took:.1f} s")
        program.that(f"{name}: says what was kept",
                     f"stopped; what was measured is in {out.name}: nothing yet" in rest
                     and f"--resume {out.name}" in rest, rest)
        program.that(f"{name}: and it is there", '"complete": false' in out.read_text(), rest)


def main():
    program = Terminals(sys.argv)
    with program.scratch() as folder:
        program.plant_small()
        widths(program)
        looks(program)
        progress(program)
        shells(program, folder)
        stopping(program, folder)
    return program.finish()


sys.exit(main())
