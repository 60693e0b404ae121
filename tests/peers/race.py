# SPDX-License-Identifier: Apache-2.0
"""Lets layercost and PyTorch (torch_layers.py) measure the same layers in turns, and prints the ratios.

    python3 -m venv .venv-peers && .venv-peers/bin/pip install torch transformers
    .venv-peers/bin/python tests/peers/race.py --program build/cpu/layercost -o race.json

Each turn measures one point with one program in a process of its own, ours first in even turns and PyTorch first in
odd ones; both have cold weights, the same threads and nothing else running. Times are per layer. A shared machine's
speed can double within minutes, so only the ratio within a turn is quoted, never a time across turns.

With --device cuda:0 both use the GPU. PyTorch then stays one process, which waits while ours runs: loading it and
compiling take longer than measuring. Later turns repeat what was its fastest in the first. --budget ends the race: no
point is begun after so many seconds, and what was measured is printed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# In the source tree, or beside the folder `peers` of a build that travels.
MODELS = ROOT / "configs/models"
if not MODELS.is_dir():
    MODELS = Path(__file__).resolve().parents[1] / "configs/models"


def ours(args, model, phase, batch, context):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "r.json"
        command = [args.program, "run", "-m", model, "--phase", phase, "-b", batch, "-c", context, "--rounds", "1",
                   "--seconds", str(args.seconds), "--threads", str(args.threads), "--device", args.device,
                   "--no-head", "-o", str(out)]
        subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        result = json.loads(out.read_text())
    part = result["points"][0]["parts"][0]
    summary = result["summary"]["models"][0]["parts"][0]
    samples = [s["time_s"] for r in part["rounds"] for s in r["samples"]]
    return {"time_s": statistics.median(samples), "samples_s": samples, "layers": part["stack"]["layers"],
            "possible_fraction": summary.get("possible_fraction"),
            "variants": {o["component"]: o["variant"] for o in part["ops"]}}


class Torch:
    """torch_layers.py: on the CPU a process for each point, on a GPU one for all."""

    PINS = ("attention", "cache", "experts_implementation", "mode")

    def __init__(self, args):
        self.args, self.worker, self.pins = args, None, {}
        self.command = [str(word) for word in (args.python, Path(__file__).with_name("torch_layers.py"), "--threads",
                                               args.threads, "--memory-gib", args.memory_gib, "--device", args.device)]

    def __call__(self, args, model, phase, batch, context):
        config = next(p for p in MODELS.glob("*.json") if p.stem.lower().endswith("--" + model.lower()))
        if args.device == "cpu":
            done = subprocess.run([*self.command, "--once", "--config", str(config), "--points",
                                   f"{phase}:{batch}:{context}", "--passes", str(args.passes)],
                                  check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            answer = json.loads(done.stdout.decode().strip().splitlines()[-1])
        else:
            answer = self.ask({"config": str(config), "phase": phase, "batch": int(batch), "context": int(context),
                               "passes": args.passes, **self.pins.get((model, phase, batch, context), {})})
        if "error" in answer:
            raise RuntimeError(answer["error"])
        self.pins[model, phase, batch, context] = {k: answer[k] for k in self.PINS if answer.get(k)}
        answer["time_s"] = statistics.median(answer["samples_s"])
        return answer

    def ask(self, command):
        if self.worker is None or self.worker.poll() is not None:
            self.worker = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                           stderr=subprocess.DEVNULL, text=True)
        self.worker.stdin.write(json.dumps(command) + "\n")
        self.worker.stdin.flush()
        line = self.worker.stdout.readline()
        return json.loads(line) if line else {"error": f"torch_layers.py ended with {self.worker.wait()}"}

    def end(self):
        if self.worker is not None:
            self.worker.stdin.close()
            self.worker.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(ROOT / "build/cpu/layercost"))
    parser.add_argument("--python", default=sys.executable, help="has torch and transformers")
    parser.add_argument("--models", nargs="+", default=["qwen3-4b", "qwen3-30b-a3b", "qwen3-32b"])
    parser.add_argument("--points", nargs="+", default=["decode:1:1024", "decode:8:1024", "prefill:1:256"])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N, for both")
    parser.add_argument("--budget", type=float, help="seconds after which no further point is begun")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=1.5, help="of samples, ours")
    parser.add_argument("--passes", type=int, default=5, help="of each implementation, PyTorch's")
    parser.add_argument("--memory-gib", type=float, default=13.0, help="for PyTorch's layers")
    parser.add_argument("-o", "--output", help="JSON with every reading")
    args = parser.parse_args()

    turns, pytorch, start, failed = [], Torch(args), time.monotonic(), False
    for turn in range(args.turns):
        for model in args.models:
            for point in args.points:
                if args.budget and turns and time.monotonic() - start > args.budget:
                    continue
                phase, batch, context = point.split(":")
                both = [("ours", ours), ("pytorch", pytorch)]
                row = {"turn": turn, "model": model, "phase": phase, "batch": int(batch), "context": int(context)}
                try:
                    for name, measure in both if turn % 2 == 0 else reversed(both):
                        print(f"turn {turn + 1}: {model} {point} {name}", file=sys.stderr, flush=True)
                        row[name] = measure(args, model, phase, batch, context)
                    turns.append(row)
                except (RuntimeError, subprocess.CalledProcessError) as error:  # the other points can still be had
                    print(f"turn {turn + 1}: {model} {point} failed: {error}", file=sys.stderr, flush=True)
                    failed = True
                if args.output:
                    Path(args.output).write_text(json.dumps(turns, indent=1))
    pytorch.end()

    print("| layer | ours, ms | PyTorch, ms | PyTorch / ours, by turn | median |\n|---|---|---|---|---|")
    for model in args.models:
        for point in args.points:
            phase, batch, context = point.split(":")
            rows = [r for r in turns if (r["model"], r["phase"], r["batch"], r["context"]) ==
                    (model, phase, int(batch), int(context))]
            if not rows:
                continue
            ratios = [r["pytorch"]["time_s"] / r["ours"]["time_s"] for r in rows]
            span = [" to ".join(f"{1e3 * f(r[who]['time_s'] for r in rows):.3g}" for f in (min, max))
                    for who in ("ours", "pytorch")]
            where = f"decode b={batch} c={context}" if phase == "decode" else f"prefill {context}"
            print(f"| {model} {where} | {span[0]} | {span[1]} | {', '.join(f'{x:.2f}' for x in ratios)} | "
                  f"{statistics.median(ratios):.2f} |")
    return 1 if failed or not turns else 0


if __name__ == "__main__":
    sys.exit(main())
