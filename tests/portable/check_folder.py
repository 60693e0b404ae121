# What:   the folder that travels: at most 48 MiB; asks for nothing newer than Ubuntu 22.04 has (glibc 2.35, GCC 12's
#         libstdc++) and for no library that is neither in it nor on every system; works from an empty folder with a
#         cleared environment, on its own configs and goldens.
# Usage:  check_folder.py FOLDER
# SPDX-License-Identifier: Apache-2.0
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

LIMIT = 48 << 20  # bytes: three quarters of the 64 MiB that a borrowed machine is given
NEWEST = {"GLIBC": (2, 35), "GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13), "GCC": (12, 0, 0)}
EVERYWHERE = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "libdl.so.2",
              "libpthread.so.0", "librt.so.1"}
problems, passed = [], 0


def that(title, good, seen=""):
    global passed
    passed += bool(good)
    if not good:
        problems.append(title)
        print(f"WRONG  {title}\n       {str(seen)[-2000:]}", flush=True)


def readelf(file, option):
    done = subprocess.run(["readelf", "--wide", option, str(file)], check=True, capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"})
    return done.stdout


def look_at_binaries(folder):
    binaries = [f for f in sorted(folder.rglob("*")) if f.is_file() and not f.is_symlink()
                and f.open("rb").read(4) == b"\x7fELF"]
    names = {f.name for f in folder.glob("lib/*")}
    that("program, tests and libraries are there",
         {"layercost", "conformance_tests"} <= {f.name for f in binaries} and names, binaries)
    for file in binaries:
        versions = re.search(r"Version needs section.*", readelf(file, "--version-info"), re.DOTALL)
        needs = set(re.findall(r"Name: (\w+?)_([0-9.]+)", versions.group() if versions else ""))
        for family, version in sorted(needs):
            if family not in NEWEST:  # of a library that lies beside it
                continue
            that(f"{file.name}: {family}_{version}", tuple(map(int, version.split("."))) <= NEWEST[family],
                 f"newer than {'.'.join(map(str, NEWEST[family]))}")
        dynamic = readelf(file, "--dynamic")
        for library in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic):
            that(f"{file.name} needs {library}", library in EVERYWHERE | names)
        path = re.findall(r"\((?:RUNPATH|RPATH)\).*\[(.*)\]", dynamic)
        that(f"{file.name}: library path", path == (["$ORIGIN/lib"] if file.parent == folder else []), path)
        that(f"{file.name}: stripped", ".symtab" not in readelf(file, "--section-headers"))


def look_at_program(folder):
    """`folder` is a copy, and the current folder is empty: nothing of the build tree is near."""
    # A model that no other folder has: what lists it reads the configs beside the program.
    model = pathlib.Path(__file__).resolve().parents[1] / "cli/small_moe.json"
    shutil.copy(model, folder / "configs/models/Test--Only-Here.json")

    def run(title, words, code=0, says=(), timeout=600):
        with tempfile.TemporaryDirectory() as empty:
            done = subprocess.run([str(folder / words[0]), *words[1:]], cwd=empty, env={}, capture_output=True,
                                  text=True, errors="replace", timeout=timeout, stdin=subprocess.DEVNULL)
        output = done.stdout + done.stderr
        that(title, done.returncode == code and all(word in output for word in says),
             f"exit code {done.returncode}, {says}\n{output}")
        return output

    run("doctor", ["layercost", "doctor", "--no-probe"], says=["threads", "models in configs"])
    run("devices", ["layercost", "list", "devices"], says=["cpu"])
    variants = run("variants", ["layercost", "list", "variants"], says=["cuda_rows", "cublaslt"])
    that("every CUDA variant was built", "built without CUDA" not in variants, variants)
    run("its own configs", ["layercost", "list", "models"], says=["only-here"])
    run("suites", ["layercost", "list", "suites"], says=["quick-gpu"])
    run("plan", ["layercost", "plan", "-m", "qwen3-30b-a3b", "-b", "8", "-c", "4096"], says=["FLOP"])
    with tempfile.TemporaryDirectory() as results:
        result = pathlib.Path(results) / "r.json"
        run("run", ["layercost", "run", "--device", "cpu", "-m", "only-here", "-b", "2", "-c", "64", "--phase",
                    "decode", "--rounds", "1", "--seconds", "0.05", "-o", str(result)], says=["only-here"])
        parts = [part for point in json.loads(result.read_text())["points"] for part in point["parts"]]
        that("every part measured", parts and all(part["outcome"] == "measured" for part in parts), parts)
    run("an unknown GPU", ["layercost", "run", "-m", "only-here", "--device", "cuda:99"], code=2, says=["cuda:99"])
    manifest = json.loads((folder / "golden/manifest.json").read_text())
    for case in manifest["cases"][::5]:
        name = folder / "golden" / case["case"]
        for dtype in ("f32", "bf16"):
            run(f"golden {case['case']} {dtype}",
                ["layercost", "check", "--device", "cpu", "--model", str(name), "--layer", str(case["layer"]),
                 "--dtype", dtype, "--weights", str(name / "model.safetensors"), "--io",
                 str(name / f"io_layer{case['layer']}.safetensors")], says=["agrees"])
    with tempfile.TemporaryDirectory() as results:
        run("gpu-check", ["gpu-check", "--part", "1", "--device", "cuda:99", "-o", results], code=3,
            says=["No GPU was used", "| conformance |"])
        that("gpu-check's files", {f.name for f in pathlib.Path(results).iterdir()} ==
             {"summary.md", "checks.json", "log.txt"})
    run("kernel tests", ["conformance_tests", "--gtest_filter=*rms_norm*:*glu*"], says=["PASSED"])


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and not f.is_symlink())
    print(f"{folder.name}: {size / 1e6:.1f} MB")
    that("at most 48 MiB", 0 < size <= LIMIT, size)
    look_at_binaries(folder)
    with tempfile.TemporaryDirectory(prefix="layercost-portable-") as scratch:
        copy = pathlib.Path(scratch) / "elsewhere"
        shutil.copytree(folder, copy, symlinks=True)
        look_at_program(copy)
    print(f"{passed} passed, {len(problems)} failed")
    return 1 if problems or not passed else 0


sys.exit(main())
