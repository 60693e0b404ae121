# SPDX-License-Identifier: Apache-2.0
"""Lets layercost, PyTorch and llama.cpp measure the same layers in turns: one result file, and a table of ratios.

    python3 tests/peers/race.py --install -o race.json

In each turn every program measures each point in a process of its own, with cold weights, the same threads and nothing
else running; who begins rotates. Times are per layer. A shared machine's speed can double within minutes, so only the
ratio within a turn is quoted, never a time across turns. The result file is ours with one round for each turn and the
peers' readings beside it; it is replaced as a whole after each point, so that Ctrl-C, SIGTERM or a crash lose the
reading that they break off and no other.

Peers: pytorch (torch_layers.py), llama.cpp (llama_cpp_layers.py, CPU only); each reads every way it has of computing a
layer and keeps its fastest. They get huge pages from the C library, as ours takes them by itself. --install puts what
is missing from PyPI into .venv-peers at the root of the repository; without it you are told what that would be.

With --device cuda:0 ours and PyTorch use the GPU. PyTorch then stays one process, which waits while ours runs: loading
it and compiling take longer than measuring. Later turns repeat what was its fastest in the first. --budget ends the
race: no point is begun after so many seconds, and what was measured is written and printed. --limit ends one reading.
"""

import argparse
import itertools
import json
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# In the source tree, or beside the folder `peers` of a build that travels.
MODELS = next(folder for folder in (ROOT / "configs/models", HERE.parent / "configs/models", ROOT) if folder.is_dir())
VENV = ROOT / ".venv-peers"
TUNABLE = "glibc.malloc.hugetlb=1"  # huge pages by madvise: 7 % for PyTorch's decode on a machine that leaves it to us
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
PAIRS = ["qwen3-4b:qwen3-30b-a3b", "qwen3-32b:qwen3-30b-a3b"]
TROUBLE = (RuntimeError, OSError, subprocess.SubprocessError, ValueError, KeyError, StopIteration)
GRACE = 5  # seconds from SIGTERM to SIGKILL


def end(process, grace=GRACE):
    """SIGTERM, time to write its file, SIGKILL."""
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(command, limit, text="", **how):
    """subprocess.run, which would send SIGKILL at once."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                               **how)
    try:
        out, err = process.communicate(text, timeout=limit)
    except subprocess.TimeoutExpired:
        end(process)
        raise RuntimeError(f"not at its end after {limit:.0f} s") from None
    except BaseException:
        end(process, 0.5)
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


class Ours:
    title = "ours"

    def __init__(self, args, folder):
        self.args, self.folder, self.first = args, folder, {}

    def __call__(self, turn, model, phase, batch, context):
        out = self.folder / f"{turn}_{Path(model).name}_{phase}_{batch}_{context}.json"
        command = [self.args.program, "run", "-m", model, "--phase", phase, "-b", batch, "-c", context, "--rounds", 1,
                   "--seconds", self.args.seconds, "--threads", self.args.threads, "--device", self.args.device,
                   "--no-head", "-o", out]
        first = self.first.get((model, phase, batch, context))
        if first:  # a round by another variant would be another experiment
            command += ["--pin-from", first]
        done = run([str(c) for c in command], self.args.limit, stdout=subprocess.DEVNULL)
        if not out.exists():
            raise RuntimeError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
        result = json.loads(out.read_text())
        point = result["points"][0]
        part = next(p for p in point["parts"] if p["kind"] != "head")
        reading = {"file": out, "point": point, "kind": part["kind"], "cold": True, "note": ""}
        samples = [s["time_s"] for r in part["rounds"] for s in r["samples"]]
        if done.returncode or not samples:
            reading["error"] = f"{part['outcome']}: {part.get('why') or done.returncode}"
        else:
            self.first.setdefault((model, phase, batch, context), out)
            reading.update(time_s=statistics.median(samples), cold="cache_partial" not in part["labels"])
        return reading

    def end(self):
        pass


class Peer:
    """A worker script: on the CPU a process for each point, on a GPU one for all."""

    def __init__(self, args):
        self.args, self.worker, self.pinned = args, None, {}
        self.command = [str(word) for word in (args.python, HERE / self.script, "--threads", args.threads,
                                               "--memory-gib", args.memory_gib)]
        if args.device != "cpu":
            self.command += ["--device", args.device]
        tunables = os.environ.get("GLIBC_TUNABLES", "")
        self.huge = "hugetlb" not in tunables
        if self.huge:
            tunables = ":".join(filter(None, (tunables, TUNABLE)))
        self.environment = {**os.environ, "GLIBC_TUNABLES": tunables}

    def __call__(self, turn, model, phase, batch, context):
        command = {"config": str(config_of(model)), "phase": phase, "batch": int(batch), "context": int(context),
                   "passes": self.args.passes, "name": Path(model).name}
        if self.args.limit:
            command["seconds"] = self.args.limit / 2  # no further way is tried after these
        if self.args.device == "cpu":
            done = run(self.command, self.args.limit, json.dumps(command) + "\n", stdout=subprocess.PIPE,
                       env=self.environment)
            lines = done.stdout.strip().splitlines()
            if not lines:
                why = (done.stderr.strip().splitlines() or [""])[-1]
                raise RuntimeError(f"{self.script} ended with {done.returncode}: {why}")
            answer = json.loads(lines[-1])
        else:
            answer = self.ask({**command, **self.pinned.get((model, phase, batch, context), {})})
        if "error" in answer:
            raise RuntimeError(answer["error"])
        if not answer["samples_s"] or min(answer["samples_s"]) <= 0:
            raise RuntimeError(f"samples of {answer['samples_s']} s")
        self.pinned[model, phase, batch, context] = {k: answer[k] for k in self.pins if answer.get(k)}
        answer["time_s"] = statistics.median(answer["samples_s"])
        return answer

    def ask(self, command):
        if self.worker is None or self.worker.poll() is not None:
            self.worker = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=subprocess.DEVNULL, text=True, env=self.environment)
        self.worker.stdin.write(json.dumps(command) + "\n")
        self.worker.stdin.flush()
        if not select.select([self.worker.stdout], [], [], self.args.limit)[0]:
            end(self.worker)
            return {"error": f"no answer after {self.args.limit:.0f} s"}
        line = self.worker.stdout.readline()
        return json.loads(line) if line else {"error": f"{self.script} ended with {self.worker.wait()}"}

    def record(self, answer, point, kind):
        """What stands under "peers" of a result file, beside our reading of the same turn."""
        return {"implementation": answer["implementation"], "version": answer["version"], "detail": self.detail(answer),
                "model": point["model"], "phase": point["phase"], "batch": point["batch"], "context": point["context"],
                "weight_type": {"bfloat16": "bf16", "float32": "f32"}[answer["dtype"]], "kind": kind,
                "threads": answer["threads"], "layers": answer["layers"], "cold": answer["cold"],
                "note": answer.get("note") or "", "rounds": [{"index": 0, "samples_s": answer["samples_s"]}]}

    def end(self):
        if self.worker is None:
            return
        try:
            self.worker.stdin.close()
            self.worker.wait(2)
        except (OSError, subprocess.TimeoutExpired):
            end(self.worker, 1)


class PyTorch(Peer):
    title, script, modules = "PyTorch", "torch_layers.py", ["torch", "transformers"]
    pins = ("attention", "cache", "experts_implementation", "mode")

    def detail(self, answer):
        how = [answer["attention"], f"{answer['cache']} cache", answer.get("experts_implementation"),
               answer["mode"] if answer["mode"] != "eager" else None, answer.get("queue"),
               "huge pages asked for" if self.huge and answer["device"] == "cpu" else None]
        return f"transformers {answer['transformers']}; {', '.join(filter(None, how))}"


class LlamaCpp(Peer):
    title, script, modules = "llama.cpp", "llama_cpp_layers.py", ["llama_cpp", "gguf", "numpy"]
    pins = ()

    def detail(self, answer):
        return answer["detail"]


PEERS = {"pytorch": PyTorch, "llama.cpp": LlamaCpp}


def config_of(model):
    """A name as in configs/models, a config.json, or a folder that holds one."""
    path = Path(model)
    if path.exists():
        return path / "config.json" if path.is_dir() else path
    return next(p for p in MODELS.glob("*.json") if p.stem.lower().endswith("--" + model.lower()))


def missing_modules(python, names):
    """Those modules of the peers that this Python lacks."""
    modules = [module for name in names for module in PEERS[name].modules]
    ask = "import importlib.util as u, sys; print(*[m for m in sys.argv[1:] if u.find_spec(m) is None])"
    done = subprocess.run([python, "-c", ask, *modules], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.stdout.split() if done.returncode == 0 else modules


def install_commands(names, device, missing):
    """pip's arguments, in order; one that may fail stands before what then does the same from PyPI."""
    commands = []
    if "pytorch" in names and {"torch", "transformers"} & set(missing):
        if device == "cpu":  # PyTorch's own index has it without the GPU's libraries: 0.2 GB and not 3
            commands.append(["torch", "--retries", "0", "--index-url", CPU_WHEELS])
        commands += [["torch"], ["transformers"]]
    if "llama.cpp" in names and {"llama_cpp", "gguf", "numpy"} & set(missing):
        # From source, so that it is built for this CPU.
        commands += [["gguf", "numpy", "llama-cpp-python", "--no-binary", "llama-cpp-python"]]
    return commands


def prepare(args):
    """The Python that has the peers' modules, after installing them if asked to; or None, when told what to do."""
    if args.python:
        return args.python
    places = [p for p in (sys.executable, str(VENV / "bin/python")) if Path(p).exists()]
    lacking = {place: missing_modules(place, args.peers) for place in places}
    for place in places:
        if not lacking[place]:
            return place
    python = str(VENV / "bin/python")
    commands = install_commands(args.peers, args.device, lacking.get(python, lacking[sys.executable]))
    words = ", ".join(dict.fromkeys(itertools.chain(*(itertools.takewhile(lambda word: word[0] != "-", command)
                                                      for command in commands))))
    llama = " (llama.cpp is compiled: that takes a C++ compiler and some minutes)" if "llama.cpp" in args.peers else ""
    print(f"{'installing' if args.install else 'missing:'} from PyPI into {VENV}: {words}{llama}", file=sys.stderr)
    if not args.install:
        print("--install does that; --peers leaves some out", file=sys.stderr)
        return None
    if not Path(python).exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    flags = " ".join(filter(None, ("-DGGML_NATIVE=ON", os.environ.get("CMAKE_ARGS"))))
    cores = str(len(os.sched_getaffinity(0)))
    environment = {"CMAKE_BUILD_PARALLEL_LEVEL": cores, **os.environ, "CMAKE_ARGS": flags}
    for command in commands:
        subprocess.run([python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *command],
                       check=CPU_WHEELS not in command, env=environment, stdout=sys.stderr)
    left = missing_modules(python, args.peers)
    if left:
        print(f"still missing: {', '.join(left)}", file=sys.stderr)
    return None if left else python


class Race:
    def __init__(self, args, folder):
        self.args, self.rows, self.failed, self.files = args, [], False, []
        self.runners = {"ours": Ours(args, folder), **{name: PEERS[name](args) for name in args.peers}}
        self.out = Path(args.output) if args.output else folder / "merged.json"

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def run(self):
        start, names = time.monotonic(), list(self.runners)
        for turn in range(self.args.turns):
            order = names[turn % len(names):] + names[:turn % len(names)]
            for model in self.args.models:
                for point in self.args.points:
                    if self.args.budget and self.rows and time.monotonic() - start > self.args.budget:
                        continue
                    self.rows.append(self.row(turn, model, point, order))
                    self.write()

    def row(self, turn, model, point, order):
        row = {"turn": turn, "model": model, "at": point}
        try:
            for name in order:
                where = f"turn {turn + 1}: {model} {point} {name}"
                self.say(where)
                try:
                    row[name] = self.runners[name](turn, model, *point.split(":"))
                    if "error" in row[name]:
                        raise RuntimeError(row[name]["error"])
                except TROUBLE as error:  # the other readings can still be had
                    self.say(f"{where} failed: {error}")
                    self.failed = True
                    if name != "ours":
                        row.pop(name, None)
        finally:
            self.insert(row)
        return row

    def insert(self, row):
        """The peers' readings of a turn go into our file of the same point and turn, which then stands for the turn."""
        if "ours" not in row:
            return
        file, ours = row["ours"]["file"], row["ours"]
        result = json.loads(file.read_text())
        result["peers"] = [self.runners[name].record(row[name], ours["point"], ours["kind"])
                           for name in self.args.peers if name in row]
        result.pop("summary", None)  # of ours alone; made anew by merge
        file.write_text(json.dumps(result))
        self.files.append(file)

    def write(self):
        if not self.files:
            return False
        there = {row["ours"]["point"]["model"] for row in self.rows if "ours" in row}
        pairs = [word for pair in self.args.pair if set(pair.split(":")) <= there for word in ("--pair", pair)]
        done = subprocess.run([self.args.program, "merge", *map(str, self.files), "-o", str(self.out), *pairs],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        if done.returncode:
            self.failed = True
            self.say(f"merge failed: {done.stderr.strip()}")
            if self.args.output:
                kept = Path(f"{self.args.output}.turns")
                shutil.copytree(self.files[0].parent, kept, dirs_exist_ok=True)
                self.say(f"the files of the turns are in {kept}")
        return not done.returncode

    def table(self):
        peers = {name: self.runners[name].title for name in self.args.peers}
        head = ["layer", "ours, ms", *(f"{title}, ms" for title in peers.values())]
        head += [word for title in peers.values() for word in (f"{title} / ours, by turn", "median")]
        lines, notes = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"], []
        for model in self.args.models:
            for point in self.args.points:
                phase, batch, context = point.split(":")
                rows = [r for r in self.rows if (r["model"], r["at"]) == (model, point)]
                if not rows:
                    continue
                many = f"{batch} x " if batch != "1" else ""
                where = f"decode b={batch} c={context}" if phase == "decode" else f"prefill {many}{context}"
                cells = [f"{Path(model).name} {where}"]
                for name in self.runners:
                    times = [1e3 * r[name]["time_s"] for r in rows if "time_s" in r.get(name, {})]
                    cells.append(f"{min(times):.3g} to {max(times):.3g}" if times else "")
                    warm = next((r[name] for r in rows if name in r and not r[name].get("cold", True)), None)
                    if warm:
                        why = warm.get("note") or ""
                        notes.append(f"{cells[0]}, {name}: weights partly from the cache. {why}".strip())
                for name in peers:
                    ratios = [r[name]["time_s"] / r["ours"]["time_s"] for r in rows
                              if name in r and "time_s" in r.get("ours", {})]
                    cells.append(", ".join(f"{x:.2f}" for x in ratios))
                    cells.append(f"{statistics.median(ratios):.2f}" if ratios else "")
                lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines + notes)

    def report(self):
        print(self.table(), flush=True)
        if self.out.exists():
            print(flush=True)
            subprocess.run([self.args.program, "report", str(self.out)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/cpu/layercost"))
    parser.add_argument("--peers", type=lambda text: text.split(","), help=f"of {','.join(PEERS)}; all that can run")
    parser.add_argument("--install", action="store_true", help=f"what is missing, from PyPI into {VENV.name}")
    parser.add_argument("--python", help="has the peers' modules; this one or .venv-peers'")
    parser.add_argument("--models", nargs="+", default=["qwen3-4b", "qwen3-30b-a3b", "qwen3-32b"])
    parser.add_argument("--points", nargs="+", default=["decode:1:1024", "decode:8:1024", "prefill:1:256"],
                        metavar="PHASE:BATCH:CONTEXT")
    parser.add_argument("--pair", action="append", metavar="DENSE:MOE", help=f"{', '.join(PAIRS)}, where both run")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N, for all")
    parser.add_argument("--budget", type=float, help="seconds after which no further point is begun")
    parser.add_argument("--limit", type=float, help="seconds of one program's reading of one point")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=1.5, help="of samples, ours")
    parser.add_argument("--passes", type=int, default=5, help="of each implementation, the peers'")
    parser.add_argument("--memory-gib", type=float, default=13.0, help="for a peer's layers")
    parser.add_argument("-o", "--output", help="the result file")
    args = parser.parse_args()
    args.peers = args.peers or (list(PEERS) if args.device == "cpu" else ["pytorch"])
    args.pair = args.pair or PAIRS
    for name in args.peers:
        if name not in PEERS:
            parser.error(f"--peers: '{name}' is none of {', '.join(PEERS)}")
        if name == "llama.cpp" and args.device != "cpu":
            parser.error("--peers: llama.cpp is read on the CPU only")
    for point in args.points:
        words = point.split(":")
        if len(words) != 3 or words[0] not in ("decode", "prefill") or not all(w.isdigit() for w in words[1:]):
            parser.error(f"--points: '{point}' is not PHASE:BATCH:CONTEXT, as decode:8:1024")
    for model in args.models:
        try:
            config_of(model)
        except StopIteration:
            parser.error(f"--models: no '{model}' in {MODELS}")
    if not shutil.which(args.program):
        parser.error(f"--program: there is no {args.program}; scripts/bench builds it")
    args.python = prepare(args)
    if args.python is None:
        return 2

    def stop(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: the file is being finished
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)  # `timeout` and gpu-check end it so; what was measured is written
    with tempfile.TemporaryDirectory(prefix="layercost-race-") as folder:
        race = Race(args, Path(folder))
        try:
            race.run()
        except KeyboardInterrupt:
            race.failed = True
            race.say("stopped")
            race.write()
        finally:
            for runner in race.runners.values():
                runner.end()
        race.report()
    return 1 if race.failed or not race.rows else 0


if __name__ == "__main__":
    sys.exit(main())
