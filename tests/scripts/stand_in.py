# What:   a folder that looks like a build on a machine with an H100: the program, the tests, nvidia-smi,
#         compute-sanitizer and a Python with PyTorch, each a script that answers as the real one does.
# SPDX-License-Identifier: Apache-2.0
import sys

# Answers of the program on a GPU; {broken} is one of the ways in which it can go wrong, or "".
STAND_IN = r'''#!{python} -IS
import json, os, pathlib, signal, sys, time
words, broken = sys.argv[1:], "{broken}"
value = lambda option: words[words.index(option) + 1]
time.sleep(float(os.environ.get("PACE", 0)))
def hang():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)
if broken == "hang_all" and words[0] not in ("--version", "doctor", "list") or "hang_" + words[0] == broken:
    hang()
if words[0] == "--version":
    print("0.1.0")
elif words[0] == "doctor":
    print("  cublaslt of " + os.environ.get("LAYERCOST_CUBLASLT", "nowhere"))
    print("  measured limits of cuda:0: reads 3000.0 GB/s, bf16 products 700000 GFLOP/s (cublaslt)")
elif words[:2] == ["list", "devices"]:
    print("cpu      A CPU     8 threads")
    if broken == "driver":
        print("cuda:0   NVIDIA GPU      the NVIDIA driver supports CUDA 12.4, this program needs one for CUDA 13.0 "
              "(for CUDA 13 driver 580 or newer)")
        sys.exit()
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
    if broken == "hang" and op == "attention":
        print("attention       cuda_first           7 right, 0 wrong, 0 refused; largest error 5 % of its limit",
              flush=True)
        hang()
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
    outcome = dict(run="failed", memory="out_of_memory").get(broken, "measured")
    rounds = [dict(index=0, samples=[dict(time_s=1e-3)],
                   conditions=dict(readings=9, sm_clock_median_hz=clock)) for clock in (1.71e9, 1.98e9)]
    part = dict(kind="dense", outcome=outcome, why="needs 90 GB, has 80 GB", rounds=rounds)
    batch = 64 if "--no-head" in words else 8
    points = [dict(model="qwen3-32b", phase="decode", batch=batch, context=4096, parts=[part])]
    models = [dict(model="qwen3-32b", phase="decode", batch=batch, context=4096,
                   parts=[dict(kind="dense", possible_fraction=0.75, time_s=1e-3)])]
    out = pathlib.Path(value("-o"))
    def write(**more):  # as the program does: whole files only
        new = out.with_name(".new" + str(os.getpid()))
        summary = dict(models=models)
        if "--no-head" in words:
            summary = dict(layers=[dict(models[0], **models[0]["parts"][0])])
        new.write_text(json.dumps(dict(points=points, summary=summary, **more)))
        new.replace(out)
    write(complete=False, price="usd" if "--price" in words else "")
    if broken == "slow_run":
        def end(*_):
            write(complete=False, finished_after="SIGTERM")
            sys.exit(1)
        signal.signal(signal.SIGTERM, end)
        time.sleep(60)
    write(complete=True)
    print("the table")
    sys.exit(broken == "run")
'''
RACE = r'''#!{python} -IS
import json, sys
if sys.argv[1] == "-c" and "find_spec" in sys.argv[2]:
    print('[true, ["{folder}/site-packages"]]')
elif sys.argv[1] == "-c":
    print("2.9.0 True 5.0.0")
else:
    ours = dict(model="qwen3-4b", phase="decode", batch=1, context=4096, time_s=1e-3,
                peers=[dict(implementation="pytorch", peer_ratio=1.5)])
    part = dict(kind="dense", outcome="measured", rounds=[dict(index=0)])
    json.dump(dict(points=[dict(parts=[part])], summary=dict(layers=[ours])),
              open(sys.argv[sys.argv.index("-o") + 1], "w"))
    print("| layer | ours | PyTorch |\n|---|---|---|\n\n the report")
'''
SMI = '''#!{python} -IS
import sys
if "compute-apps" not in sys.argv[1]:
    mig = "Enabled" if "{broken}" == "mig" else "Disabled"
    print(", ".join(["NVIDIA H100 80GB HBM3", "580.95.05"] + ["x"] * 6 + [mig] + ["x"] * 10))
'''
SANITIZER = '''#!{python} -IS
import subprocess, sys
at = next(i for i, word in enumerate(sys.argv) if word.endswith("layercost"))
if "{broken}" == "race" and "racecheck" in sys.argv and "attention" in sys.argv:
    print("========= Error: Race reported between Write access at f+0x10 and Read access")
    sys.exit(97)
sys.exit(subprocess.run(sys.argv[at:]).returncode)
'''
TESTS = '''#!{python} -IS
print("[       OK ] Cuda/Conformance.IsRightOrRefusedWithAReason/rms_norm_cuda_rows__tokens_1 (9 ms)")
print("[  SKIPPED ] Cuda/Conformance.IsRightOrRefusedWithAReason/attention_cuda_decode__batch_1 (9 ms)")
print("[  PASSED  ] 1 test.")
'''


def make(scratch, broken=""):
    """broken: one of the ways in which something can go wrong; the folder bears its name."""
    folder = scratch / (broken or "sound")
    library = folder / "site-packages/nvidia/cu13/lib/libcublasLt.so.13"
    library.parent.mkdir(parents=True)
    library.write_text("")
    for name, text in {"layercost": STAND_IN, "conformance_tests": TESTS, "nvidia-smi": SMI, "python-peers": RACE,
                       "compute-sanitizer": SANITIZER}.items():
        (folder / name).write_text(text.replace("{broken}", broken).replace("{python}", sys.executable)
                                   .replace("{folder}", str(folder)).replace("{{", "{").replace("}}", "}"))
        (folder / name).chmod(0o755)
    return folder
