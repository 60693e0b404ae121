# What:   scripts/gpu-check --collect: which files it makes of the folders of both parts, that it overwrites none, what
#         stands in the table of docs/gpu.md, which rows of docs/gpu-todo.md it calls done, what it refuses.
# Usage:  check_gpu_collect.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
from program import Program
from stand_in import make

RIGHT = [{"step": step, "name": name, "ok": True, "detail": ""} for step, name in [
    ("conformance", "linear cublaslt"), ("conformance", "rms_norm cuda_rows"), ("roofs", "doctor"),
    ("ops", "dense, 4096 rows"), ("memcheck", "linear"), ("racecheck", "linear"), ("goldens", "a layer 0 bf16"),
    ("peers", "race against PyTorch")]]


def gpu_check(program, *words, path=""):
    return subprocess.run([sys.executable, str(program.root / "scripts/gpu-check"), *map(str, words)], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=280,
                          env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "CUDA_HOME": "/nonexistent"})


# How rows of docs/gpu-todo.md begin. The page itself loses them one by one, as GPUs show what they ask for.
ROWS = ["CUDA runtime: sticky errors", "NVML conditions", "cuBLASLt `linear`", "every `cuda_*` variant",
        "goldens on `cuda:0`", "crossovers", "tile choice of `linear`", "`RoofProbe` on a GPU",
        "`scripts/gpu-check`, peers"]


def tree(program, folder):
    for name in ("docs/gpu.md", "results/README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(program.root / name, folder / name)
    (folder / "docs/gpu-todo.md").write_text("| what | |\n|---|---|\n" + "".join(f"| {row} | |\n" for row in ROWS))
    return folder


def files(root):
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


def both_parts(program, folder):
    that, build, root = program.that, make(folder), tree(program, folder / "tree")
    parts = [folder / "one", folder / "two"]
    for number, out in enumerate(parts, 1):
        gpu_check(program, build, "--part", number, "-o", out, "--python", build / "python-peers", path=build)
    date = json.loads((parts[0] / "checks.json").read_text())["environment"]["date"][:10]
    stem, before = f"{date}_h100-80gb-hbm3", files(root)
    done = gpu_check(program, "--collect", *parts, "--root", root)
    after = files(root)
    new = {f"results/{stem}_{suite}.json" for suite in ("quick-gpu", "decode-batch64", "race")}
    new |= {f"results/gpu-check/{stem}_part{part}.json" for part in (1, 2)}
    that("exit code 0", done.returncode == 0, done.stderr)
    that("the files", after.keys() - before.keys() == new, after.keys())
    that("what was there stays, but for the table", {name for name in before if before[name] != after[name]} ==
         {"docs/gpu.md"})
    for suite, file in (("quick-gpu", "one/quick"), ("decode-batch64", "two/batch64"), ("race", "two/peers")):
        that(f"{suite} as it came", after[f"results/{stem}_{suite}.json"] == (folder / f"{file}.json").read_bytes())
    kept = json.loads(after[f"results/gpu-check/{stem}_part1.json"])
    that("checks and op table are kept", kept["checks"] and len(kept["ops"]) == 10 and kept["nominal"]["B/s"], kept)
    that("no path of that machine", str(folder) not in json.dumps(kept["environment"]) and
         kept["environment"]["libraries"]["libcublasLt.so.13"] == "site-packages/nvidia/cu13/lib/libcublasLt.so.13",
         kept["environment"])

    page = after["docs/gpu.md"].decode()
    head, table, tail = page.partition("<!-- gpu-check: table -->\n")[0], *page.partition(
        "<!-- gpu-check: table -->\n")[2].split("<!-- gpu-check: end -->")
    old = before["docs/gpu.md"].decode()
    that("the page around it stays", old.startswith(head) and old.endswith(tail) and "Nothing yet" not in table)
    for words in ("**NVIDIA H100 80GB HBM3**, driver 580.95.05, multiprocessors at 1710 to 1980 MHz", f", {date}. ",
                  f"[results/{stem}_race.json](../results/{stem}_race.json)", "| rms_norm, 134 MB | cuda_a | 11.0 µs |",
                  "| GQA decode, 1 x 128k |",
                  "| qwen3-32b decode b=8 c=4096 | 1000.0 µs | 75 % | 80 % | below",
                  "| qwen3-32b decode b=64 c=4096 |", "| qwen3-4b decode b=1 c=4096 | 1000.0 µs | 1.50 | pytorch |"):
        that(f"the table has {words}", words in table, table)
    that("done or not is said", "  done    goldens on" in done.stdout and
         "  done    `scripts/gpu-check`" in done.stdout and "cuBLASLt `linear`: not yet: right, 760" in done.stdout,
         done.stdout)

    again = gpu_check(program, "--collect", *parts, "--root", root)
    that("nothing is overwritten", again.returncode == 2 and "never overwritten" in again.stderr and
         files(root) == after, again.stderr)
    for file in (root / "results").rglob("*.json"):
        file.unlink()
    (root / f"results/{stem}_race.json").write_text("{}")
    again = gpu_check(program, "--collect", *parts, "--root", root)
    that("one that is there: none is written", again.returncode == 2 and
         {f.name for f in (root / "results").rglob("*.json")} == {f"{stem}_race.json"}, again.stderr)
    (root / f"results/{stem}_race.json").unlink()
    again = gpu_check(program, "--collect", *parts, "--root", root)
    that("the table is replaced, not added", again.returncode == 0 and
         (root / "docs/gpu.md").read_bytes() == after["docs/gpu.md"], again.stderr)
    return parts[0]


def rows_done(program, folder, change=lambda checks, row: None):
    """The rows that are done with a folder in which everything is right, after `change` to it."""
    folder.mkdir()
    rate = [{"time_s": 1e-3, "FLOP/s": 790e12}]
    row = {"name": "dense, 4096 rows", "case": "linear m=4096", "of": "FLOP/s", "bar": 0.7, "wish": None,
           "time_s": 1e-3, "rate": 790e12, "variant": "cublaslt", "readings": {"cublaslt": rate, "cuda_tiles": rate}}
    checks = {"complete": True, "part": "all", "checks": [dict(c) for c in RIGHT], "left_out": [], "steps": [],
              "environment": {"date": "2026-01-31T00:00:00Z", "gpus": [{"name": "NVIDIA X", "driver_version": "1"}],
                              "measured_limits": ["reads 3000.0 GB/s, bf16 products 760000 GFLOP/s (cublaslt)"]}}
    change(checks, row)
    (folder / "checks.json").write_text(json.dumps(checks))
    (folder / "ops.json").write_text(json.dumps({"nominal": {"B/s": 3.35e12, "FLOP/s": 989e12}, "ops": [row]}))
    done = gpu_check(program, "--collect", folder, "--root", tree(program, folder / "tree"))
    return {line.split("done    ")[1] for line in done.stdout.splitlines() if line.startswith("  done")}, done


def todo(program, folder):
    all_done = {"every `cuda_*` variant", "goldens on", "`RoofProbe`"}
    done, seen = rows_done(program, folder / "right")
    program.that("all right: what is done", done == all_done, (done, seen.stdout, seen.stderr))

    def wrong(step):
        def change(checks, row):
            next(c for c in checks["checks"] if c["step"] == step)["ok"] = False
        return change

    def late(checks, row):
        checks["left_out"].append({"step": "racecheck attention", "why": "ran out of time", "for_time": True})

    def slow(checks, row):
        checks["environment"]["measured_limits"] = ["reads 2000.0 GB/s, bf16 products 760000 GFLOP/s"]

    def idle(checks, row):
        checks["environment"]["measured_limits"] = ["reads 3000.0 GB/s, bf16 products 600000 GFLOP/s"]

    for title, change, missing in [
            ("a wrong golden", wrong("goldens"), "goldens on"),
            ("a race", wrong("racecheck"), "every `cuda_*` variant"),
            ("wrong conformance", wrong("conformance"), "every `cuda_*` variant"),
            ("an op left out of racecheck", late, "every `cuda_*` variant"), ("a low roof", slow, "`RoofProbe`"),
            ("a low compute roof", idle, "`RoofProbe`")]:
        done, seen = rows_done(program, folder / title.replace(" ", "_"), change)
        program.that(f"{title}: its row is not done", done == all_done - {missing}, (done, seen.stderr))


def bad_input(program, folder, part):
    that, root = program.that, tree(program, folder / "clean")
    before = files(root)

    def refused(title, words, said):
        done = gpu_check(program, "--collect", *words, "--root", root)
        that(f"refused: {title}", done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr and
             files(root) == before, done.stderr)

    refused("no folder", [folder / "none"], "names no GPU")
    for title, change, said in [
            ("no GPU was used", lambda c: c["environment"].pop("gpus"), "names no GPU"),
            ("no date", lambda c: c["environment"].pop("date"), "no date"),
            ("a date that is a path", lambda c: c["environment"].update(date="../../etc/"), "no date"),
            ("a list for a table", lambda c: c.update(environment=[1]), "is not gpu-check's"),
            ("no verdicts", lambda c: c.update(checks=[{"step": "ops"}]), "is not gpu-check's"),
            ("half a file", None, "names no GPU")]:
        other = folder / title.replace(" ", "_")
        shutil.copytree(part, other)
        text = (other / "checks.json").read_text()
        data = json.loads(text)
        if change:
            change(data)
        (other / "checks.json").write_text(json.dumps(data) if change else text[:len(text) // 2])
        refused(title, [other], said)
    other = folder / "other"
    shutil.copytree(part, other)
    data = json.loads((other / "checks.json").read_text())
    data["environment"]["gpus"][0]["driver_version"] = "999"
    (other / "checks.json").write_text(json.dumps(data))
    refused("two machines", [part, other], "the folder before it")
    refused("the same part twice", [part, part], "once more")
    for title, device, said in [
            ("a GPU that could not be used", "cuda:0 NVIDIA GPU the driver supports CUDA 12.4", "no GPU was used"),
            ("a GPU that is not in the list", "cuda:0 NVIDIA H200 compute capability 9.0", "names no GPU")]:
        data["environment"]["device"] = device
        (other / "checks.json").write_text(json.dumps(data))
        refused(title, [other], said)
    page = (root / "docs/gpu.md").read_text()
    (root / "docs/gpu.md").write_text(page.replace("<!-- gpu-check: end -->", ""))
    before = files(root)
    refused("a page without the marks", [part], "lacks the marks")
    (root / "docs/gpu.md").write_text(page)

    # Two cards: the one that was used is not the first of the list.
    shutil.copytree(part, folder / "cards")
    data = json.loads((part / "checks.json").read_text())
    used = data["environment"]["gpus"][0]
    data["environment"]["gpus"] = [{**used, "name": "NVIDIA H100"}, {**used, "name": "NVIDIA T400"}, used]
    (folder / "cards/checks.json").write_text(json.dumps(data))
    done = gpu_check(program, "--collect", folder / "cards", "--root", tree(program, folder / "of_cards"))
    that("the card that was used", "h100-80gb-hbm3_part1" in done.stdout, done.stdout + done.stderr)

    # What was cut off: the ops are torn, quick is not there.
    shutil.copytree(part, folder / "cut")
    (folder / "cut/quick.json").unlink()
    (folder / "cut/ops.json").write_text('{"nominal": {')
    done = gpu_check(program, "--collect", folder / "cut", "--root", root)
    that("of a folder that was cut off what there is", done.returncode == 0 and
         [f.name.split("_")[-1] for f in (root / "results").rglob("*.json")] == ["part1.json"], done.stderr)


def main():
    program = Program(sys.argv)
    with program.scratch() as folder:
        part = both_parts(program, folder)
        todo(program, folder)
        bad_input(program, folder, part)
    return program.finish()


sys.exit(main())
