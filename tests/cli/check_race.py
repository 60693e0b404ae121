# What:   scripts/race without torch and llama.cpp: who measures when, what becomes of a peer, of ours or of the
#         race that breaks, and what stands in the result file. A Python that answers as the peers' scripts do, and a
#         program whose `run` hands out rounds of a published result; merge and report are the real program's.
# Usage:  check_race.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import argparse
import contextlib
import io
import json
import importlib.machinery
import importlib.util
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time
import unittest.mock

from program import Program

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/peers"))
loader = importlib.machinery.SourceFileLoader("race", str(pathlib.Path(__file__).resolve().parents[2] / "scripts/race"))
race = importlib.util.module_from_spec(importlib.util.spec_from_loader("race", loader))
loader.exec_module(race)

PUBLISHED = "results/2026-11-22_xeon-amx-2-threads_quick.json"
MODELS, POINTS = ["qwen3-30b-a3b", "qwen3-32b"], ["decode:1:1024", "decode:8:1024"]
SCRIPTS = {"pytorch": "torch_layers.py", "llama.cpp": "llama_cpp_layers.py"}
PEER_KEYS = {"implementation", "version", "detail", "model", "phase", "batch", "context", "weight_type", "kind",
             "threads", "layers", "cold", "note", "rounds"}

# What `run` measured in each turn: the next of the three published rounds.
OURS = r'''#!{python}
import json, pathlib, subprocess, sys
words, folder = sys.argv[1:], pathlib.Path("{folder}")
if words[0] != "run":
    sys.exit(subprocess.run(["{program}", *words]).returncode)
value = lambda option: words[words.index(option) + 1]
model, phase, batch, context = value("-m"), value("--phase"), value("-b"), value("-c")
with open(folder / "log.txt", "a") as log:
    log.write("ours " + model + " " + ":".join((phase, batch, context)) + "\n")
turn = (folder / "log.txt").read_text().count("ours " + model + " " + ":".join((phase, batch, context)) + "\n") - 1
if "{broken}" == "ours" and model == "qwen3-32b":
    sys.exit("layercost: out of luck")
result = json.load(open("{published}"))
result["points"] = [p for p in result["points"] if (p["model"], p["phase"], str(p["batch"]), str(p["context"])) ==
                    (model, phase, batch, context)]
part = result["points"][0]["parts"][0]
part["rounds"] = [dict(part["rounds"][turn], index=0)]
result["points"][0]["parts"] = [part, {"kind": "head", "count": 1, "outcome": "skipped", "why": "not asked for",
                                       "ops": [], "rounds": [], "labels": []}]
result["models"], result["pairs"] = [m for m in result["models"] if m["name"] == model], []
json.dump(result, open(value("-o"), "w"))
'''
# Times: PyTorch 50 ms and llama.cpp 70 ms in the first turn, 1 ms more in each further one.
PYTHON = r'''#!{python}
import json, os, pathlib, sys, time
folder, script = pathlib.Path("{folder}"), os.path.basename(sys.argv[1])
for line in sys.stdin:
    command = json.loads(line)
    point = ":".join(str(command[k]) for k in ("phase", "batch", "context"))
    entry = script + " " + command["name"] + " " + point
    with open(folder / "log.txt", "a") as log:
        log.write(entry + "\n")
    turn = (folder / "log.txt").read_text().count(entry + "\n") - 1
    with open(folder / "commands.txt", "a") as log:
        log.write(json.dumps(dict(command, pid=os.getpid(), turn=turn)) + "\n")
    torch = script.startswith("torch")
    if "{broken}" == "crash" and not torch and point.startswith("decode:1:"):
        sys.exit("Illegal instruction")
    if "{broken}" == "crash" and not torch:
        print(json.dumps(dict(error="MemoryError: three layers need more")), flush=True)
        continue
    if "{broken}" == "hang" and turn == 1 or "{broken}" == "hang_third" and entry.endswith("32b decode:1:1024"):
        time.sleep(120)
    if "{broken}" == "torn":
        print('{{"implementation": ', flush=True)
        continue
    answer = dict(implementation="pytorch" if torch else "llama.cpp", version="1.2", transformers="5.0", mode="eager",
                  model=command["name"], phase=command["phase"], batch=command["batch"], context=command["context"],
                  dtype="bfloat16", threads=int(sys.argv[3]), layers=4, cold=torch,
                  note=None if torch else "too little", device="cpu", attention="sdpa",
                  cache="static", experts_implementation=None, detail="flash",
                  samples_s=[s + 0.001 * turn for s in ([0.05, 0.04, 0.06] if torch else [0.07])])
    print(json.dumps(answer), flush=True)
'''


class Scene:
    def __init__(self, program, folder, broken=""):
        self.folder = folder / (broken or "sound")
        self.folder.mkdir(parents=True)
        for name, text in {"layercost": OURS, "python": PYTHON}.items():
            for key, value in {"python": sys.executable, "folder": self.folder, "program": program.path,
                               "published": program.root / PUBLISHED, "broken": broken}.items():
                text = text.replace("{" + key + "}", str(value))
            (self.folder / name).write_text(text.replace("{{", "{"))
            (self.folder / name).chmod(0o755)
        self.out = self.folder / "out.json"
        self.command = [sys.executable, program.root / "scripts/race", "--program", self.folder / "layercost",
                        "--python", self.folder / "python", "--threads", "2", "--models", *MODELS, "--points", *POINTS,
                        "-o", self.out]

    def run(self, *words):
        return subprocess.run([str(w) for w in (*self.command, *words)], capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL)

    def log(self):
        file = self.folder / "log.txt"
        return file.read_text().splitlines() if file.exists() else []

    def result(self):
        return json.loads(self.out.read_text()) if self.out.exists() else {"points": [], "peers": [], "pairs": []}

    def rounds(self):
        """Indices by (model, batch), of ours; and by (implementation, model, batch), of the peers."""
        result = self.result()
        ours = {(p["model"], p["batch"]): [r["index"] for r in p["parts"][0]["rounds"]] for p in result["points"]}
        return ours, {(p["implementation"], p["model"], p["batch"]): [r["index"] for r in p["rounds"]]
                      for p in result.get("peers", [])}


def everywhere(rounds):
    return {(model, batch): rounds for model in MODELS for batch in (1, 8)}


def sound(program, folder):
    that, scene = program.that, Scene(program, folder)
    done = scene.run()
    that("exit code 0", done.returncode == 0, done.stderr)
    turns = [["ours", *SCRIPTS.values()], ["torch_layers.py", "llama_cpp_layers.py", "ours"],
             ["llama_cpp_layers.py", "ours", "torch_layers.py"]]
    expected = [f"{who} {model} {point}" for order in turns for model in MODELS for point in POINTS for who in order]
    that("who begins rotates", scene.log() == expected, scene.log())
    ours, peers = scene.rounds()
    that("three rounds of ours", ours == everywhere([0, 1, 2]), ours)
    that("three rounds of each peer", peers == {(name, *key): rounds for name in SCRIPTS
                                                for key, rounds in everywhere([0, 1, 2]).items()}, peers)
    result = scene.result()
    that("the pair whose models ran, and no other",
         [(p["dense"], p["moe"]) for p in result["pairs"]] == [("qwen3-32b", "qwen3-30b-a3b")], result["pairs"])
    peer = next(p for p in result["peers"] if (p["implementation"], p["model"], p["batch"]) ==
                ("llama.cpp", "qwen3-30b-a3b", 8))
    that("a peer's keys", set(peer) == PEER_KEYS, set(peer) ^ PEER_KEYS)
    rest = {k: peer[k] for k in PEER_KEYS - {"rounds"}}
    that("a peer's values", rest == {
        "implementation": "llama.cpp", "version": "1.2", "detail": "flash", "model": "qwen3-30b-a3b", "phase": "decode",
        "batch": 8, "context": 1024, "weight_type": "bf16", "kind": "moe", "threads": 2, "layers": 4, "cold": False,
        "note": "too little"}, rest)
    that("its samples, by turn", [[round(s, 6) for s in r["samples_s"]] for r in peer["rounds"]] ==
         [[0.07], [0.071], [0.072]], peer["rounds"])

    published = json.loads((program.root / PUBLISHED).read_text())
    rounds = next(p for p in published["points"] if (p["model"], p["phase"], p["batch"]) == ("qwen3-32b", "decode", 8))
    times = [statistics.median(s["time_s"] for s in r["samples"]) for r in rounds["parts"][0]["rounds"]]
    row = next((line for line in done.stdout.splitlines() if line.startswith("| qwen3-32b decode b=8 c=1024 |")), "")
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    ratios = [[(first + 0.001 * turn) / ours for turn, ours in enumerate(times)] for first in (0.05, 0.07)]
    that("the row of ratios", cells[2:] == ["50 to 52", "70 to 72"] + [
        text for r in ratios for text in (", ".join(f"{x:.2f}" for x in r), f"{statistics.median(r):.2f}")], cells)
    that("what was not cold is said", "qwen3-32b decode b=8 c=1024, llama.cpp: weights partly" in done.stdout)
    that("the report follows", "\n\n" in done.stdout and "one layer" in done.stdout.split("\n\n", 1)[1], done.stdout)


def broken(program, folder):
    that = program.that
    scene = Scene(program, folder, "crash")
    done = scene.run("--turns", "2")
    ours, peers = scene.rounds()
    that("a peer that fails: exit code 1", done.returncode == 1, done.stderr)
    that("a peer that fails: ours and the other stay", ours == everywhere([0, 1]) and peers == {
        ("pytorch", *key): rounds for key, rounds in everywhere([0, 1]).items()}, (ours, peers))
    for word in ("decode:1:1024 llama.cpp failed: llama_cpp_layers.py ended with 1: Illegal instruction",
                 "decode:8:1024 llama.cpp failed: MemoryError: three layers need more"):
        that(f"a peer that fails is told: {word[-30:]}", word in done.stderr, done.stderr)
    scene = Scene(program, folder, "torn")
    done = scene.run("--turns", "1", "--peers", "pytorch")
    that("an answer that is no JSON", done.returncode == 1 and scene.rounds() == (everywhere([0]), {}), done.stderr)

    scene = Scene(program, folder, "ours")
    done = scene.run("--turns", "2", "--peers", "pytorch")
    ours, peers = scene.rounds()
    that("ours fails: exit code 1, and why", done.returncode == 1 and "out of luck" in done.stderr, done.stderr)
    that("ours fails: the other model stays", set(ours) == {(MODELS[0], 1), (MODELS[0], 8)}, ours)
    that("ours fails: its peers were measured", sum(MODELS[1] in line for line in scene.log()) == 8, scene.log())

    scene = Scene(program, folder, "hang")
    process = subprocess.Popen([str(w) for w in (*scene.command, "--models", MODELS[0])], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if len(scene.log()) == 7:  # the first of the second turn
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    that("Ctrl-C: exit code 1", process.returncode == 1, process.returncode)
    ours, peers = scene.rounds()
    that("Ctrl-C: the first turn is there", ours == {(MODELS[0], 1): [0], (MODELS[0], 8): [0]} and len(peers) == 4,
         (ours, peers))


def cut_off(program, folder):
    """SIGTERM and SIGKILL in the first turn: what had been measured is in the file, whole at every look."""
    for number, words in ((signal.SIGTERM, ["--device", "cuda:0"]), (signal.SIGKILL, [])):
        scene = Scene(program, folder / number.name, "hang_third")
        process = subprocess.Popen([str(w) for w in (*scene.command, "--peers", "pytorch", *words)], text=True,
                                   start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        looks, torn = 0, 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and sum("torch" in line for line in scene.log()) < 3:
            if scene.out.exists():
                looks += 1
                try:
                    json.loads(scene.out.read_text())
                except ValueError:
                    torn += 1
            time.sleep(0.01)
        sent = time.monotonic()
        process.send_signal(number) if words else os.killpg(process.pid, number)  # SIGTERM: its worker hangs on
        out, _ = process.communicate(timeout=200)
        took = time.monotonic() - sent
        ours, peers = scene.rounds()
        rows = {(MODELS[0], 1): [0], (MODELS[0], 8): [0]}
        if words:
            rows[MODELS[1], 1] = [0]  # of this one ours was measured already
            program.that("SIGTERM: it does not wait for its worker", took < 60, took)
            program.that("SIGTERM: exit code and table", process.returncode == 1 and
                         "| qwen3-30b-a3b decode b=8 c=1024 |" in out, out)
        program.that(f"{number.name}: whole at {looks} looks", looks > 0 and torn == 0, torn)
        program.that(f"{number.name}: the rows before are there", rows == ours and peers == {
            ("pytorch", *key): rounds for key, rounds in rows.items() if key[0] == MODELS[0]}, (ours, peers))


def too_slow(program, folder):
    """--limit: a reading that hangs is ended, and the next one is had."""
    for words in ([], ["--device", "cuda:0"]):
        scene = Scene(program, folder / f"slow{len(words)}", "hang_third")
        begin = time.monotonic()
        done = scene.run("--turns", "1", "--peers", "pytorch", "--limit", "10", *words)
        ours, peers = scene.rounds()
        program.that("a hanging reading: ended", time.monotonic() - begin < 100 and done.returncode == 1, done.stderr)
        program.that("a reading that hangs: said", "decode:1:1024 pytorch failed: no" in done.stderr, done.stderr)
        program.that("a reading that hangs: the others are there", ours == everywhere([0]) and
                     set(peers) == {("pytorch", *key) for key in everywhere(0)} - {("pytorch", MODELS[1], 1)},
                     (ours, peers))


class Gpu:
    """torch.cuda with clocks of its own: what the host launches runs in order, at the earliest when it is launched."""

    def __init__(self, spins=True, depth=10**6):
        self.host, self.ends, self.depth = 0.0, [0.0], depth
        if spins:
            self._sleep = lambda cycles: self.launch(5e-6, cycles / 1.7e9)

    def launch(self, host_s, gpu_s):
        self.host += host_s
        if len(self.ends) > self.depth:  # the queue is full: the host waits for a place
            self.host = max(self.host, self.ends[-self.depth])
        self.ends.append(max(self.host, self.ends[-1]) + gpu_s)

    def synchronize(self):
        self.host = max(self.host, self.ends[-1])

    def Event(self, enable_timing):
        gpu = self

        class Event:
            def record(self):
                self.at = max(gpu.host, gpu.ends[-1])

            def query(self):
                return self.at <= gpu.host

            def synchronize(self):
                gpu.host = max(gpu.host, self.at)

            def elapsed_time(self, other):
                return 1e3 * (other.at - self.at)

        return Event()


def held_queue(program):
    """A walk of 100 kernels of 3 us each, 300 us, that the host launches in 10 us each, 1 ms."""
    stubs = ("torch", "transformers", "transformers.cache_utils", "transformers.integrations",
             "transformers.integrations.moe", "transformers.masking_utils", "transformers.models",
             "transformers.models.auto", "transformers.models.auto.configuration_auto")
    with unittest.mock.patch.dict(sys.modules, {name: unittest.mock.MagicMock() for name in stubs}):
        import torch_layers

    def seen(gpu, host_s=10e-6, kernels=100, waits=False):
        def walk():
            for i in range(kernels):
                gpu.launch(host_s, 3e-6)
                if waits and i == 50:
                    gpu.synchronize()
        samples, held = torch_layers.held_samples(gpu, walk, lambda x: gpu.launch(10e-6, 5e-6), range(4))
        return [round(1e6 * s) for s in samples], held

    for title, right, found in [
            ("the host's launches are not in it", ([300] * 4, True), seen(Gpu())),
            ("nor those of a host that takes 0.3 s", ([300] * 4, True), seen(Gpu(), host_s=3e-3)),
            ("without a way to hold", ([1003] * 4, False), seen(Gpu(spins=False)))]:
        program.that(f"PyTorch's queue: {title}", found == right, found)
    times, held = seen(Gpu(), waits=True)
    program.that("PyTorch's queue: a walk that waits is not held", not held and min(times) > 490, (times, held))
    times, held = seen(Gpu(depth=50))
    program.that("PyTorch's queue: a walk longer than the queue is not held", not held, (times, held))


def on_a_gpu(program, folder):
    scene = Scene(program, folder, "gpu")
    done = scene.run("--device", "cuda:0", "--turns", "2")
    commands = [json.loads(line) for line in (scene.folder / "commands.txt").read_text().splitlines()]
    program.that("GPU: PyTorch only, in one process", done.returncode == 0 and len(commands) == 8 and
                 len({c["pid"] for c in commands}) == 1, (done.stderr, commands))
    program.that("GPU: what was fastest is repeated", all(
        c.get("attention") == ("sdpa" if c["turn"] else None) and "experts_implementation" not in c for c in commands),
        commands)


def usage(program, folder):
    scene = Scene(program, folder, "usage")
    for words, said in [(["--peers", "vllm"], "'vllm' is none of pytorch,"),
                        (["--points", "decode:8"], "decode:8:1024"),
                        (["--peers", "llama.cpp", "--device", "cuda:0"], "CPU only"),
                        (["-o", __file__], "check_race.py exists already"), (["--models", "gpt-9"], "no 'gpt-9'"),
                        (["--program", "none"], "there is no none")]:
        done = scene.run(*words)
        program.that(f"bad usage: {words}", done.returncode == 2 and said in done.stderr, done.stderr[-500:])


def installing(program, folder):
    ran, race.VENV = [], folder / "venv"
    race.missing_modules = lambda python, names: ["torch", "llama_cpp"] if not ran else []
    real, race.subprocess.run = subprocess.run, lambda command, **_: ran.append([str(word) for word in command])
    try:
        for install in (False, True):
            args = argparse.Namespace(python=None, peers=["pytorch", "llama.cpp"], device="cpu", install=install)
            with contextlib.redirect_stderr(io.StringIO()) as said:
                python = race.prepare(args)
            program.that("says what it would install", all(
                word in said.getvalue() for word in ("torch, transformers, gguf, numpy, llama-cpp-python", "PyPI")),
                said.getvalue())
            program.that("installs when told to", bool(ran) == install and
                         python == (str(folder / "venv/bin/python") if install else None), ran)
    finally:
        race.subprocess.run = real
    program.that("into its own environment", ran and ran[0][1:] == ["-m", "venv", str(folder / "venv")] and all(
        command[0] == str(folder / "venv/bin/python") for command in ran[1:]), ran)
    program.that("PyTorch without a GPU's libraries first", [race.CPU_WHEELS in command for command in ran[1:]] ==
                 [True, False, False, False] and "--no-binary" in ran[4], ran)


def cache_sizes(program, folder):
    """Two chiplets of two CPUs, 96 and 32 MiB; and what the program itself finds here."""
    import cache_sizes as sizes
    for cpu in range(4):
        for index, (level, kind, size, sharing) in enumerate([
                ("1", "Instruction", "64K", str(cpu)), ("2", "Unified", "1024K", str(cpu)),
                ("3", "Unified", "96M" if cpu < 2 else "32768K", "0-1" if cpu < 2 else "2-3")]):
            place = folder / f"tree/sys/devices/system/cpu/cpu{cpu}/cache/index{index}"
            place.mkdir(parents=True)
            for name, text in (("level", level), ("type", kind), ("size", size), ("shared_cpu_list", sharing)):
                (place / name).write_text(text + "\n")
    seen = [sizes.last_level_cache_bytes(cpus, folder / "tree") >> 20 for cpus in (range(4), [0, 1], [3], [9])]
    program.that("every last-level cache counts, once", seen == [128, 96, 32, 0], seen)
    here = sizes.last_level_cache_bytes(os.sched_getaffinity(0))
    told = program.run(["doctor", "--no-probe"]).stdout
    program.that("peers and we see the same caches", not here or f" {here / 1e6:.0f} MB " in told, (here, told))


def main():
    program = Program(sys.argv)
    with program.scratch() as folder:
        sound(program, folder)
        broken(program, folder)
        cut_off(program, folder)
        too_slow(program, folder)
        held_queue(program)
        on_a_gpu(program, folder)
        usage(program, folder)
        installing(program, folder)
        cache_sizes(program, folder)
    return program.finish()


sys.exit(main())
