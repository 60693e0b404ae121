# What:   scripts/setup and scripts/bench on machines that are not here: with and without a GPU, with an old driver or an
#         old toolkit, with packages missing, with and without a terminal. Every tool they call is a stand-in that writes
#         down how it was called; nothing is installed and nothing is built.
# Usage:  check_setup.py ROOT
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(sys.argv[1]).resolve()
BASH = shutil.which("bash")
TOOLS = "bash env cat cp chmod date dirname grep head ln mkdir nproc readlink sed sort tail xargs".split()
HEAD = '#!{bash}\nHERE={here}\necho "${{0##*/}} $*" >>"$HERE/log"\n'
FAKES = {
    "nvidia-smi": 'cat "$HERE/gpus"; exit "$(cat "$HERE/smi-exit")"',
    "nvcc": 'echo "Cuda compilation tools, release $(cat "$HERE/nvcc-version"), V0"',
    "apt-get": "true",
    "sudo": 'exec "$@"',
    "dpkg-query": 'grep -qx "${@: -1}" "$HERE/missing" && exit 1; printf installed',
    # Building leaves a program that says how it was called.
    "cmake": 'if [[ $1 == --build ]]; then mkdir -p "build/$3"; '
             'printf "#!%s\\necho \\"$3: \\$*\\"\\n" "$BASH" >"build/$3/layercost"; chmod +x "build/$3/layercost"; fi',
    # -m venv and -m pip install, as far as scripts/setup looks.
    "python3": 'case $* in\n*venv*) mkdir -p .venv/bin; cp "$0" .venv/bin/python3; cp "$0" .venv/bin/pip ;;\n'
               '*install*) d=.venv/lib/python3.0/site-packages/nvidia/cu13; mkdir -p "$d/bin" "$d/lib"; '
               'cp "$HERE/store/nvcc" "$d/bin" ;;\nesac',
}
PYPI = "-m pip install --disable-pip-version-check nvidia-cuda-nvcc==13.0.*"
problems, passed = [], 0


def that(title, good, seen=""):
    global passed
    passed += bool(good)
    if not good:
        problems.append(title)
        print(f"WRONG  {title}\n       {str(seen)[-2000:]}", flush=True)


class Machine:
    """A copy of scripts/ in a folder of its own, and a PATH with stand-ins and the plainest tools only."""

    def __init__(self, folder, gpus=None, smi_exit=0, nvcc=None, cublas=True, missing=()):
        self.here = pathlib.Path(folder)
        shutil.copytree(ROOT / "scripts", self.here / "tree/scripts")
        for name in ("bin", "tools", "toolkit/bin", "toolkit/include", "store"):
            (self.here / name).mkdir(parents=True)
        for name, text in {"log": "", "gpus": gpus or "", "smi-exit": smi_exit, "nvcc-version": nvcc or "13.0",
                           "missing": "\n".join(missing)}.items():
            (self.here / name).write_text(f"{text}\n")
        for tool in TOOLS:
            (self.here / "tools" / tool).symlink_to(shutil.which(tool))
        for name in FAKES:
            self.fake(name, "store" if name in ("nvcc", "nvidia-smi") else "bin")
        if gpus is not None:
            self.fake("nvidia-smi", "bin")
        if nvcc is not None:
            self.fake("nvcc", "toolkit/bin")
        if cublas:
            (self.here / "toolkit/include/cublasLt.h").write_text("")

    def fake(self, name, folder):
        path = self.here / folder / name
        path.write_text(HEAD.format(bash=BASH, here=self.here) + FAKES[name] + "\n")
        path.chmod(0o755)

    def environment(self):
        return {"PATH": f"{self.here}/bin:{self.here}/tools", "CUDA_HOME": f"{self.here}/toolkit", "LC_ALL": "C"}

    def run(self, script, *words):
        done = subprocess.run([BASH, f"scripts/{script}", *words], cwd=self.here / "tree", env=self.environment(),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        return self

    def on_terminal(self, script, *words, answer=True):
        """With a terminal on standard input and error. Returns the calls that were made before Enter was pressed."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([BASH, f"scripts/{script}", *words], cwd=self.here / "tree",
                                   env=self.environment(), stdin=theirs, stderr=theirs, stdout=subprocess.PIPE)
        os.close(theirs)
        self.err, before, deadline = "", None, time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    chunk = os.read(ours, 4096)
                except OSError:  # the other end is closed
                    break
                self.err += chunk.decode(errors="replace")
            if before is None and "Enter to go on" in self.err:
                time.sleep(0.3)  # something that does not wait would be through by now
                before = self.calls()
                os.write(ours, b"\n" if answer else b"\x03")
        self.out = process.stdout.read().decode()
        self.code = process.wait(timeout=60)
        os.close(ours)
        return before

    def calls(self):
        return (self.here / "log").read_text()


def machine(**what):
    return Machine(tempfile.mkdtemp(dir=scratch), **what)


def installs(calls):
    return [line for line in calls.splitlines() if line.startswith("apt-get") or "pip install" in line]


def presets():
    for card, architectures in {
        "9.0, 580.65.06": "90a", "8.0, 580.65.06": "80", "8.6, 581.1": "86", "8.9, 580.65.06": "89",
        "10.0, 590.1": "100f", "10.3, 590.1": "100f", "12.0, 580.65.06": "120f", "12.1, 600.1": "120f",
        "9.0, 580.65.06\n9.0, 580.65.06": "90a", "8.9, 580.65.06\n12.0, 580.65.06": "89;120f",
        "7.5, 580.65.06\n8.6, 580.65.06": "86",
    }.items():
        m = machine(gpus=card, nvcc="13.0").run("setup", "--build", "auto")
        that(f"{card!r}: preset cuda", m.code == 0 and m.out == "cuda\n", (m.code, m.out, m.err))
        that(f"{card!r}: compiled for {architectures}",
             f"-DLAYERCOST_CUDA_ARCHITECTURES={architectures}\n" in m.calls(), m.calls())
        that(f"{card!r}: the system's toolkit", f"-DCMAKE_CUDA_COMPILER={m.here}/toolkit/bin/nvcc" in m.calls(), m.calls())
        that(f"{card!r}: nothing installed", not installs(m.calls()), m.calls())

    for title, what, words in [
        ("an older GPU", {"gpus": "7.5, 580.65.06", "nvcc": "13.0"}, ["7.5", "no GPU of compute capability 8.0"]),
        ("a newer GPU than we know", {"gpus": "19.0, 990.1", "nvcc": "13.0"}, ["19.0"]),
        ("an old driver", {"gpus": "9.0, 570.124.06", "nvcc": "13.0"}, ["570.124.06 is too old", "580 or newer"]),
        ("an old driver, no toolkit", {"gpus": "9.0, 535.1"}, ["535.1 is too old for CUDA 13.0", "580 or newer"]),
        ("a driver that fails", {"gpus": "Failed to initialize NVML: Driver/library version mismatch", "smi_exit": 18},
         ["nvidia-smi fails: Failed to initialize NVML"]),
    ]:
        m = machine(**what).run("setup", "--build", "auto")
        that(f"{title}: preset cpu", m.code == 0 and m.out == "cpu\n", (m.code, m.out, m.err))
        that(f"{title}: is told", all(word in m.err for word in words), m.err)
        that(f"{title}: no toolkit", not installs(m.calls()) and "CUDA" not in m.calls(), m.calls())
    if not pathlib.Path("/proc/driver/nvidia/version").exists():
        m = machine(nvcc="13.0").run("setup", "--build", "auto")
        that("no driver: preset cpu", m.code == 0 and m.out == "cpu\n" and "no NVIDIA driver" in m.err, (m.out, m.err))

    m = machine(gpus="9.0, 550.54", nvcc="12.9").run("setup", "--build", "auto")
    that("a driver for CUDA 12 and a toolkit 12.9", m.out == "cuda\n", (m.out, m.err))


def toolkits():
    for title, what, words in [
        ("no toolkit", {}, []),
        ("an old toolkit", {"nvcc": "12.8"}, ["12.8, too old: 12.9 or newer is needed"]),
        ("a toolkit without cuBLAS", {"nvcc": "13.0", "cublas": False}, ["without cuBLAS"]),
    ]:
        m = machine(gpus="9.0, 580.65.06", **what).run("setup", "--build", "auto")
        root = m.here / "tree/.venv/lib/python3.0/site-packages/nvidia/cu13"
        that(f"{title}: preset cuda", m.code == 0 and m.out == "cuda\n", (m.code, m.out, m.err))
        that(f"{title}: from PyPI", PYPI in m.calls() and "nvidia-cublas==13.0.*" in m.calls(), m.calls())
        that(f"{title}: is told", all(word in m.err for word in words), m.err)
        that(f"{title}: from where, and how much", "from PyPI into .venv, 0.9 GB, no root: nvidia-cuda-nvcc" in m.err, m.err)
        that(f"{title}: CMake is told", f"-DCMAKE_CUDA_COMPILER={root}/bin/nvcc" in m.calls(), m.calls())
        that(f"{title}: names that CMake looks for", (root / "lib64").is_dir() and
             os.readlink(root / "lib/libcudart.so") == "libcudart.so.13", list(root.iterdir()))
        first = m.calls()
        m.run("setup", "--build", "auto")
        that(f"{title}: fetched once", not installs(m.calls()[len(first):]), m.calls())

    m = machine(nvcc="13.0", missing=["python3-venv"]).run("setup", "--build", "cuda-portable")
    that("a folder that travels is for every GPU", "ARCHITECTURES" not in m.calls(), m.calls())
    m = machine(missing=["python3-venv"]).run("setup", "--build", "cuda")
    that("PyPI needs venv", "install -y --no-install-recommends python3-venv" in m.calls(), m.calls())
    that("and says so first", "to be installed with apt-get: python3-venv" in m.err, m.err)


def questions():
    missing = ["libfmt-dev", "libhwy-dev", "python3-venv"]
    m = machine(gpus="9.0, 580.65.06", missing=missing).run("setup", "--build", "auto")
    that("without a terminal nobody is asked", m.code == 0 and "Enter" not in m.err, m.err)
    that("both lists come before both installations", m.err.index("to be installed with apt-get: libhwy-dev libfmt-dev")
         < m.err.index("to be installed from PyPI") < m.err.index("reading package lists") <
         m.err.index("fetching the CUDA toolkit"), m.err)

    m = machine(gpus="9.0, 580.65.06", missing=missing)
    before = m.on_terminal("setup", "--build", "auto")
    that("on a terminal it waits", before is not None, m.err)
    that("and has installed nothing by then", before is not None and not installs(before) and "sudo" not in before, before)
    that("and goes on after Enter", m.code == 0 and len(installs(m.calls())) == 3, (m.code, m.calls()))

    m = machine(gpus="9.0, 580.65.06", missing=missing)
    m.on_terminal("setup", "--build", "auto", "--yes")
    that("--yes: no question", m.code == 0 and "Enter" not in m.err and len(installs(m.calls())) == 3, m.err)

    m = machine(nvcc="13.0")
    m.on_terminal("setup", "--build", "cpu")
    that("nothing missing, no question", m.code == 0 and "Enter" not in m.err and not installs(m.calls()), m.err)


def bench():
    m = machine(gpus="9.0, 580.65.06", nvcc="13.0").run("bench")
    that("bench on a GPU", m.code == 0 and m.out.startswith("cuda: run --device cuda:0 --suite quick-gpu --price example"),
         (m.out, m.err))
    m = machine(gpus="9.0, 580.65.06", nvcc="13.0").run("bench", "--device", "cpu")
    that("bench with --device cpu", m.code == 0 and m.out.startswith("cpu: run --suite quick --price"), (m.out, m.err))
    m = machine(gpus="7.0, 580.65.06", nvcc="13.0").run("bench", "--rounds", "10")
    that("bench without one that can be used", m.code == 0 and m.out.startswith("cpu: run --suite quick ") and
         m.out.endswith("--rounds 10\n"), (m.out, m.err))
    m = machine(gpus="9.0, 580.65.06", nvcc="13.0").run("bench", "-m", "qwen3-4b", "--device=cuda:1", "--price", "2/h")
    that("bench keeps what was asked for", "--suite" not in m.out and "cuda:0" not in m.out and "example" not in m.out and
         "-m qwen3-4b --device=cuda:1 --price 2/h" in m.out, (m.out, m.err))
    m = machine(gpus="9.0, 580.65.06", nvcc="13.0", missing=["libfmt-dev"])
    m.on_terminal("bench", "--yes", "--rounds", "1")
    that("bench --yes", m.code == 0 and "Enter" not in m.err and "--yes" not in m.out and m.out.endswith("--rounds 1\n"),
         (m.out, m.err))


with tempfile.TemporaryDirectory(prefix="layercost-scripts-") as scratch:
    for part in (presets, toolkits, questions, bench):
        part()
print(f"{passed} passed, {len(problems)} failed")
sys.exit(1 if problems or not passed else 0)
