# What:   scripts/gpu-check without a GPU: what it does with the real program, and, with a stand-in that answers as the
#         program does on a GPU, that every step reads those answers right: what passes, what fails, what is left out,
#         which files there are, what the exit code says.
# Usage:  check_gpu_check.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from stand_in import make

PROGRAM, ROOT = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
FILES = {"summary.md", "checks.json", "log.txt"}
ALL_FILES = FILES | {"ops.json", "quick.json", "batch64.json", "peers.json"}
FIRST = ["moe_experts tokens=1 ", "moe_experts tokens=8 ", "moe_experts tokens=64 ", "attention batch=32 q_len=1 ",
         "attention batch=1 q_len=1 kv_len=4096 ", "attention batch=1 q_len=8192 ", "grouped_linear ",
         "linear m=4096 ", "linear m=1 ", "rms_norm "]  # of part 1
problems, passed = [], 0


def that(title, good, seen=""):
    global passed
    passed += bool(good)
    if not good:
        problems.append(title)
        print(f"WRONG  {title}\n       {str(seen)[-3000:]}", flush=True)


def gpu_check(build, out, *words, path=""):
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "CUDA_HOME": "/nonexistent"}
    done = subprocess.run([sys.executable, str(ROOT / "scripts/gpu-check"), str(build), "-o", str(out), *words],
                          env=environment, capture_output=True, text=True, timeout=280, stdin=subprocess.DEVNULL)
    names = {file.name for file in out.iterdir()} if out.is_dir() else set()
    checks = json.loads((out / "checks.json").read_text()) if "checks.json" in names else {"checks": [], "left_out": []}
    return done, names, checks


def real_program(scratch):
    done, names, checks = gpu_check(PROGRAM.parent, scratch / "real", "--device", "cuda:77", "--only",
                                    "goldens,roofs,ops,quick,peers,memcheck")
    that("no GPU: exit code 3", done.returncode == 3, done.stdout + done.stderr)
    that("no GPU: files", names == FILES, names)
    that("no GPU: goldens on the CPU", sum(c["step"] == "goldens" and c["ok"] for c in checks["checks"]) >= 20, checks)
    that("no GPU: every op case can be read", sum(c["step"] == "ops" and c["ok"] for c in checks["checks"]) >= 20,
         checks)
    that("no GPU: what is left out", {left["step"] for left in checks["left_out"]} ==
         {"GPU", "roofs", "ops", "quick", "peers", "memcheck"}, checks["left_out"])
    that("no GPU: said at the top", "No GPU was used" in (scratch / "real/summary.md").read_text())


def stand_in(scratch, broken="", *words):
    folder = make(scratch, broken)
    done = gpu_check(folder, folder / "out", "--python", str(folder / "python-peers"), *words, path=folder)
    return (*done, folder / "out")


def parts(scratch):
    done, names, checks, out = stand_in(scratch, "one", "--part", "1")
    summary, log = (out / "summary.md").read_text(), (out / "log.txt").read_text()
    that("part 1: exit code 0", done.returncode == 0, done.stdout + done.stderr)
    that("part 1: five files", names == FILES | {"ops.json", "quick.json"}, names)
    that("part 1: its steps", [s["step"] for s in checks["steps"]] ==
         ["environment", "conformance", "roofs", "ops", "quick"], checks["steps"])
    that("part 1: no second walk", "conformance_tests" not in log and not checks["left_out"], checks["left_out"])
    first = json.loads((out / "ops.json").read_text())["ops"]
    that("part 1: the ten ops", len(first) == 10 and all(
        sum(row["case"].startswith(start) for row in first) == 1 for start in FIRST), [row["case"] for row in first])
    that("part 1: not what is slow", log.count("--benchmark_filter=-\\[(cuda_plain|cuda_chain)]") == 10, log)
    that("at its end", "Not at its end" not in summary and checks["complete"] is True, summary)

    done, names, checks, out = stand_in(scratch, "two", "--part", "2")
    that("part 2: exit code 0", done.returncode == 0, done.stdout + done.stderr)
    that("part 2: six files", names == FILES | {"ops.json", "batch64.json", "peers.json"}, names)
    that("part 2: its steps", [s["step"] for s in checks["steps"]] ==
         ["environment", "goldens", "memcheck", "batch64", "peers", "ops", "racecheck"], checks["steps"])
    second = json.loads((out / "ops.json").read_text())["ops"]
    cases = {row["case"] for row in first} | {row["case"] for row in second}
    that("every op is in one part", len(cases) == len(first) + len(second) >= 24, cases)

    done, names, checks, out = stand_in(scratch, "listed", "--only", "ops", "--variants", "cuda_a,cudnn")
    log = (out / "log.txt").read_text()
    that("variants by name", log.count("--benchmark_filter=\\[(cuda_a|cudnn)]") == len(cases), log)
    listed = subprocess.run([str(PROGRAM), "ops", "--device", "cpu", "--case", "glu tokens=3 ffn_hidden=64 act=silu "
                             "x_type=f32 y_type=f32", "--benchmark_list_tests", "--benchmark_filter=\\[(plain_loops)]"],
                            capture_output=True, text=True).stdout.split("\n")
    that("the program takes that filter", len(listed) == 2 and "[plain_loops]" in listed[0], listed)


def nominal_figures(scratch, out):
    """Seconds that memory sets are the H200's, 4.8 TB/s; the H100 has 3.35."""
    rows = {row["name"]: row for row in json.loads((out / "ops.json").read_text())["ops"]}
    row = rows["GQA decode, 1 x 128k"]
    that("a second-valued bar, of this device", abs(row["bar"] - 111.76e-6) < 0.01e-6, row)
    for row in rows.values():  # keys and values, bf16, 4 heads of 128
        if row["name"].startswith("GQA decode, 1 x"):
            length = int(row["case"].split("kv_len=")[1].split()[0])
            that(f"{row['name']}: no faster than memory", row["bar"] > 2 * 2 * 4 * 128 * length / 3.35e12, row)
    that("what memory does not set stays", rows["router, 64 tokens"]["bar"] == 3e-6)


def bad_input(scratch):
    done, names, checks, out = stand_in(scratch, "mig", "--part", "1")
    ops = json.loads((out / "ops.json").read_text())
    summary = (out / "summary.md").read_text()
    that("MIG: named", "| environment | MIG | a slice" in summary, summary)
    that("MIG: held against nothing", ops["nominal"] == {} and not any(
        "fraction_of_nominal" in row for row in ops["ops"]) and next(
            row for row in ops["ops"] if row["name"] == "GQA decode, 1 x 4k")["bar"] is None, ops)
    that("MIG: the rest goes on", done.returncode == 0 and "quick.json" in names, done.stdout)

    done, names, checks, out = stand_in(scratch, "memory", "--part", "1")
    that("too little memory: named", "out_of_memory: needs 90 GB, has 80 GB" in (out / "summary.md").read_text())
    that("too little memory: no failure", done.returncode == 0, done.stdout)

    done, names, checks, out = stand_in(scratch, "driver", "--part", "1")
    that("an old driver: named", "driver 580 or newer" in (out / "summary.md").read_text() and
         checks["left_out"][0]["step"] == "GPU", checks["left_out"])
    that("an old driver: the rest is tried", {"roofs", "quick"} <= {left["step"] for left in checks["left_out"]} and
         any(c["step"] == "conformance" for c in checks["checks"]), checks)


def libraries(scratch, out):
    checks, log = json.loads((out / "checks.json").read_text()), (out / "log.txt").read_text()
    folder = out.parent / "site-packages/nvidia/cu13/lib"
    that("cuBLASLt of PyTorch's packages is found", checks["environment"]["libraries"]["libcublasLt.so.13"] ==
         str(folder / "libcublasLt.so.13"), checks["environment"])
    that("every child has its name", f"cublaslt of {folder}/libcublasLt.so.13" in log, log)
    older = make(scratch, "older")
    moved = older / "site-packages/nvidia/cublas/lib"
    moved.parent.mkdir()
    (older / "site-packages/nvidia/cu13/lib").rename(moved)
    words = ("--python", str(older / "python-peers"), "--only", "roofs")
    done, _, checks = gpu_check(older, older / "out", *words, path=older)
    that("the older place", checks["environment"]["libraries"]["libcublasLt.so.13"] ==
         str(moved / "libcublasLt.so.13"), checks["environment"])
    (moved / "libcublasLt.so.13").rename(moved / "libcublasLt.so.12")
    done, _, checks = gpu_check(older, older / "out2", *words, path=older)
    found = checks["environment"]["libraries"].get("libcublasLt.so.13", "")
    that("another version is not taken", str(moved) not in found, found)
    that("nowhere: named", found or any(c["name"] == "libcublasLt.so.13" and c["ok"] is None
                                        for c in checks["checks"]), checks)


def main():
    with tempfile.TemporaryDirectory(prefix="layercost-gpu-check-") as name:
        scratch = pathlib.Path(name)
        real_program(scratch)

        done, names, checks, out = stand_in(scratch)
        summary = (out / "summary.md").read_text()
        that("all well: exit code 0", done.returncode == 0, done.stdout + done.stderr)
        that("all well: seven files", names == ALL_FILES, names)
        that("all well: nothing left out", checks["left_out"] == [], checks["left_out"])
        kinds = {(c["step"], c["name"]) for c in checks["checks"] if c["step"].endswith("check")}
        that("every tool on every op", kinds == {(tool, op) for tool in ("memcheck", "racecheck", "synccheck")
                                                 for op in ("rms_norm", "attention")}, kinds)
        that("the race's table without its report", "| layer | ours | PyTorch |" in summary and
             "the report" not in summary, summary[-2000:])
        unable = {c["name"] for c in checks["checks"] if c["ok"] is None}
        that("refused is neither right nor wrong",
             "mixtral_full layer" in " ".join(unable) and "attention cudnn" in unable, unable)
        ops = json.loads((out / "ops.json").read_text())
        that("nominal figures of the H100", ops["nominal"]["B/s"] == 3.35e12, ops["nominal"])
        first = ops["ops"][0]
        that("the median of three, not the mean's row", abs(first["time_s"] - 11e-6) < 1e-12, first)
        that("percent of nominal", abs(first["fraction_of_nominal"] - 0.82) < 1e-6, first)
        rows = {line.split("|")[1].strip(): line for line in summary.splitlines() if line.startswith("| ")}
        that("bar reached", rows["rms_norm, 134 MB"].rstrip(" |").endswith("| bar"), rows["rms_norm, 134 MB"])
        that("wish reached", rows["decode MoE, 1 token, 75 MB"].rstrip(" |").endswith("| wish"))
        that("below the bar", rows["dense, 4096 rows"].rstrip(" |").endswith("below the bar"), rows["dense, 4096 rows"])
        that("a time against its bar", rows["router, 64 tokens"].rstrip(" |").endswith("below the bar"))
        for batch in (8, 64):
            that(f"a layer's bar, batch {batch}", "| 1000.0 µs | 75 % | 80 % | below the bar" in
                 rows.get(f"qwen3-32b decode b={batch} c=4096", ""), summary)

        nominal_figures(scratch, out)
        libraries(scratch, out)
        parts(scratch)
        bad_input(scratch)

        for broken, step, word in [("wrong", "conformance", "attention cuda_decode"),
                                   ("crash", "conformance", "attention"), ("golden", "goldens", "qwen3_moe_norm"),
                                   ("ops", "ops", "cuda_b"), ("run", "quick", "qwen3-32b"),
                                   ("race", "racecheck", "attention")]:
            done, names, checks, out = stand_in(scratch, broken)
            failed = [c for c in checks["checks"] if c["ok"] is False]
            that(f"{broken}: exit code 1", done.returncode == 1, done.stdout[-1500:] + done.stderr)
            that(f"{broken}: named", any(c["step"] == step and word in c["name"] for c in failed), failed)
            that(f"{broken}: the other steps still ran", names == ALL_FILES, names)
        done, names, checks, out = stand_in(scratch, "torn")
        that("torn output is not a crash", done.returncode in (0, 1) and "ops.json" in names, done.stderr)

        done, _, _ = gpu_check(scratch, scratch / "none")
        that("no program", done.returncode == 2 and "holds no program layercost" in done.stderr, done.stderr)
        done, _, _ = gpu_check(PROGRAM.parent, scratch / "none", "--only", "everything")
        that("unknown step", done.returncode == 2 and "is none of environment, conformance" in done.stderr, done.stderr)
        for minutes in ("0", "-1", "nan", "inf"):
            done, _, _ = gpu_check(PROGRAM.parent, scratch / "none", "--minutes", minutes)
            that(f"{minutes} minutes", done.returncode == 2 and "--minutes: expected" in done.stderr, done.stderr)
        (scratch / "a file").write_text("")
        done, _, _ = gpu_check(PROGRAM.parent, scratch / "a file", "--only", "environment")
        that("a file for a folder", done.returncode == 2 and "cannot be written" in done.stderr and
             "Traceback" not in done.stderr, done.stderr)
        done, _, _ = gpu_check(PROGRAM.parent, scratch / "a b", "--only", "environment")
        that("a folder with a space", done.returncode in (0, 3), done.stderr)
        done, _, _ = gpu_check(PROGRAM.parent, scratch / "a b", "--only", "environment")
        that("an earlier run's folder", done.returncode == 2 and "earlier run" in done.stderr, done.stderr)
    print(f"{passed} passed, {len(problems)} failed")
    return 1 if problems or not passed else 0


sys.exit(main())
