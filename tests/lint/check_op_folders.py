# What:   cmake/ops.cmake stops the configuration where the op list, variants.txt and the files do not match. Tried on a
#         copy of one op.
# Usage:  check_op_folders.py ROOT CMAKE
# SPDX-License-Identifier: Apache-2.0
import pathlib
import shutil
import subprocess
import sys
import tempfile

OP = "glu"


def main():
    root, cmake = pathlib.Path(sys.argv[1]), sys.argv[2]
    variant = (root / "kernels" / OP / "variants.txt").read_text().split("\n")[1]

    def add_line(op, line="not_there"):
        with open(op / "variants.txt", "a") as file:
            file.write(line + "\n")

    changes = {  # what is done to the copy -> a word of the refusal, or None where it has to be accepted
        "nothing": (lambda op: None, None),
        "a line without its file": (add_line, "not_there"),
        "a file without its line": (lambda op: (op / f"{OP}_orphan.cpp").write_text(""), "has no line"),
        "a private source with its line": (
            lambda op: (add_line(op, "tables.cpp"), (op / "tables.cpp").write_text("")), None),
        "a private source that is missing": (lambda op: add_line(op, "tables.cpp"), "is missing"),
        "a source of a provider that is not there": (
            lambda op: (add_line(op, "tables.cu if NOT_SET"), (op / "tables.cu").write_text("")), None),
        "a line that is neither": (lambda op: add_line(op, "Highway rows"), "neither"),
        "a variant's file removed": (lambda op: (op / f"{OP}_{variant}.cpp").unlink(), "is missing"),
        "device code without its variant": (lambda op: (op / f"{OP}_orphan.cu").write_text(""), "beside it"),
        "header removed": (lambda op: (op / f"{OP}.h").unlink(), "is missing"),
        "no variant": (lambda op: (op / "variants.txt").write_text(""), "has no line"),
        "an op that is not in the list": (lambda op: shutil.copytree(op, op.parent / "unlisted"), "not in the list"),
    }
    failures = 0
    for title, (change, word) in changes.items():
        with tempfile.TemporaryDirectory() as scratch:
            copy = pathlib.Path(scratch)
            shutil.copytree(root / "kernels" / OP, copy / OP)
            change(copy / OP)
            (copy / "CMakeLists.txt").write_text(
                f"cmake_minimum_required(VERSION 3.25)\nproject(copy LANGUAGES NONE)\ninclude({root}/cmake/ops.cmake)\n"
                f"layercost_collect_ops(sources device optional {OP})\n")
            command = [cmake, "-G", "Ninja", "-S", copy, "-B", copy / "build"]
            done = subprocess.run(command, capture_output=True, text=True)
            words = " ".join(done.stderr.split())  # CMake breaks its lines
            good = done.returncode == 0 if word is None else done.returncode != 0 and word in words
            failures += not good
            print(f"{'ok' if good else 'WRONG':<6}{title}: {'accepted' if done.returncode == 0 else 'refused'}")
            if not good:
                print(done.stdout + done.stderr)
    return 1 if failures else 0


sys.exit(main())
