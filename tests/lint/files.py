# What:   the files of the tree that are ours: tracked, or new and not ignored; without git, all but build folders.
# SPDX-License-Identifier: Apache-2.0
import pathlib
import subprocess

SOURCE_SUFFIXES = {".cpp", ".h", ".cu", ".cuh", ".py", ".cmake", ".sh"}


def all_files(root):
    root = pathlib.Path(root)
    try:
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "--cached", "--others",
                                "--exclude-standard"],
                                check=True, capture_output=True).stdout.decode().split("\0")
        names = [name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        skipped = {".git", ".venv", ".cache", "build", "__pycache__"}
        names = [str(p.relative_to(root)) for p in root.rglob("*") if not skipped & set(p.relative_to(root).parts)]
    files = sorted({name for name in names if (root / name).is_file()})
    assert len(files) > 100, f"{root}: only {len(files)} files found; that cannot be the source tree"
    return files


def is_source(root, name):
    path = pathlib.Path(root) / name
    if path.suffix in SOURCE_SUFFIXES or path.name == "CMakeLists.txt":
        return True
    return path.suffix == "" and path.read_bytes()[:2] == b"#!"


def report(what, problems, looked_at):
    for problem in problems:
        print(problem)
    print(f"{what}: {looked_at} files, {len(problems)} problems")
    return 1 if problems or looked_at == 0 else 0
