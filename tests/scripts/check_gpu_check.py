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

PROGRAM, ROOT = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
FILES = {"summary.md", "checks.json", "log.txt"}
ALL_FILES = FILES | {"ops.json", "quick.json", "batch64.json", "peers.json"}
problems, passed = [], 0

# Answers of the program on a GPU; {broken} is one of the ways in which it can go wrong, or "".
STAND_IN = r'''#!{python}
import json, sys, time
words, broken = sys.argv[1:], "{broken}"
value = lambda option: words[words.index(option) + 1]
if words[0] == "--version":
    print("0.1.0")
elif words[0] == "doctor":
    print("  measured limits of cuda:0: reads 3000.0 GB/s, bf16 products 700000 GFLOP/s (cublaslt)")
elif words[:2] == ["list", "devices"]:
    print("cpu      A CPU     8 threads")
    print("cuda:0   NVIDIA H100 80GB HBM3   compute capability 9.0, 132 multiprocessors, 85.0 GB")
elif words[:2] == ["list", "variants"]:
    print("rms_norm        normalisation\n  plain_loops          cpu   layercost  \n"
          "  cuda_rows            cuda  layercost  ")
    print("attention       attention\n  cuda_decode          cuda  layercost  \n"
          "  cudnn                cuda  cuDNN      not here: built without cuDNN")
elif words[0] == "check" and "--op" in words:
    op, name = value("--op"), dict(rms_norm="cuda_rows", attention="cuda_decode")[value("--op")]
    if broken == "crash" and op == "attention":
        sys.exit("layercost: an illegal memory access was encountered")
    wrong = int(broken == "wrong" and op == "attention")
    print(f"{{op:<15}} {{name:<18}}   5 right, {{wrong}} wrong, 1 refused; largest error 50 % of its limit (why)")
    sys.exit(wrong)
elif words[0] == "check":
    if broken == "golden" and "qwen3_moe_norm" in value("--model") and value("--dtype") == "bf16":
        print("  prefill   1.0e+00   1.0e+00   WRONG\n    relative L2 too large"); sys.exit(1)
    if value("--dtype") == "f32" and "mixtral" in value("--model"):
        sys.exit("layercost: no variant of attention does 'x' on cuda:0: needs x_type=bf16")
    print("  prefill   agrees\n  decode   agrees\n  both   agrees")
elif words[0] == "ops":
    case = value("--case")
    rows = [dict(name=case + " [cuda_a]/manual_time", run_type="iteration", real_time=us * 1.0, time_unit="us",
                 label="cuda_a", **{{"B/s": 3.35e12 * 0.82, "FLOP/s": 989e12 * 0.5}}) for us in (12, 10, 11)]
    rows.append(dict(rows[0], name=case + " [cuda_a]/manual_time_mean", run_type="aggregate", real_time=99.0))
    rows.append(dict(name=case + " [cuda_b]", run_type="iteration", error_occurred=True,
                     error_message="wrong: seed 1" if broken == "ops" else "unsupported: too many rows"))
    text = json.dumps(dict(context={{}}, benchmarks=rows), indent=1)
    print(text[:len(text) // 2] if broken == "torn" else text)
elif words[0] == "run":
    part = dict(kind="dense", outcome="failed" if broken == "run" else "measured", why="out of luck")
    points = [dict(model="qwen3-32b", phase="decode", batch=8, context=4096, parts=[part])]
    models = [dict(model="qwen3-32b", phase="decode", batch=8, context=4096,
                   parts=[dict(kind="dense", possible_fraction=0.75, time_s=1e-3)])]
    open(value("-o"), "w").write(json.dumps(dict(points=points, summary=dict(models=models))))
    print("the table")
    sys.exit(broken == "run")
'''
RACE = r'''#!{python}
import sys
if sys.argv[1] == "-c" and "find_spec" in sys.argv[2]:
    print('[true, ["{folder}/site-packages"]]')
elif sys.argv[1] == "-c":
    print("2.9.0 True 5.0.0")
else:
    open(sys.argv[sys.argv.index("-o") + 1], "w").write("[]")
    print("| layer | ours | PyTorch |\n|---|---|---|\n\n the report")
'''
SMI = '''#!{python}
import sys
if "compute-apps" not in sys.argv[1]:
    print(", ".join(["NVIDIA H100 80GB HBM3"] + ["x"] * 18))
'''
SANITIZER = '''#!{python}
import subprocess, sys
at = next(i for i, word in enumerate(sys.argv) if word.endswith("layercost"))
if "{broken}" == "race" and "racecheck" in sys.argv and "attention" in sys.argv:
    print("========= Error: Race reported between Write access at f+0x10 and Read access")
    sys.exit(97)
sys.exit(subprocess.run(sys.argv[at:]).returncode)
'''
TESTS = '''#!{python}
print("[       OK ] Registry/Conformance.EveryCaseIsRightOrRefusedWithAReason/rms_norm_cuda_rows (9 ms)")
print("[  SKIPPED ] Registry/Conformance.EveryCaseIsRightOrRefusedWithAReason/attention_cuda_decode (9 ms)")
print("[  PASSED  ] 1 test.")
'''


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


def stand_in(scratch, broken=""):
    folder = scratch / (broken or "sound")
    folder.mkdir()
    for name, text in {"layercost": STAND_IN, "conformance_tests": TESTS, "nvidia-smi": SMI, "python-peers": RACE,
                       "compute-sanitizer": SANITIZER}.items():
        (folder / name).write_text(text.replace("{broken}", broken).replace("{python}", sys.executable)
                                   .replace("{folder}", str(folder)).replace("{{", "{").replace("}}", "}"))
        (folder / name).chmod(0o755)
    return gpu_check(folder, folder / "out", "--python", str(folder / "python-peers"), path=folder) + (folder / "out",)


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
        that("a layer's bar", "below the bar" in rows["qwen3-32b decode b=8 c=4096"], summary)

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
        that("no program", done.returncode == 1 and "holds no program layercost" in done.stderr, done.stderr)
        done, _, _ = gpu_check(PROGRAM.parent, scratch / "none", "--only", "everything")
        that("unknown step", done.returncode == 2 and "is none of environment, conformance" in done.stderr, done.stderr)
    print(f"{passed} passed, {len(problems)} failed")
    return 1 if problems or not passed else 0


sys.exit(main())
