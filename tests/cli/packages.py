# What:   the packages of the program that was built, made anew, unpacked in a fresh folder and tried there; and what
#         the Containerfile names. Nothing is compiled. Exit code 77, with the reason: what a kind needs is not here.
# Usage:  packages.py PROGRAM ROOT deb|tarball|wheel|container
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

from program import Program

SKIPPED = 77
EVERY_SYSTEM_HAS = re.compile(r"(lib(c|m|dl|rt|pthread|stdc\+\+|gcc_s)\.so|linux-vdso|/?.*ld-linux)")


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def version_of(root):
    return re.search(r"layercost VERSION ([0-9.]+)", (root / "CMakeLists.txt").read_text())[1]


def command(program, title, words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=600, **options)
    program.that(title, done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:])
    return done


def cpack(program, generator):
    build = pathlib.Path(program.path).parent
    out = program.folder / "made"
    command(program, f"cpack {generator}",
            ["cpack", "--config", build / "CPackConfig.cmake", "-G", generator, "-B", out])
    return [p for p in out.iterdir() if p.is_file()] if out.is_dir() else []


def tried(program, prefix):
    """The program at `prefix`, from another folder, with configs that lie nowhere else."""
    program.path = str(prefix / "bin" / "layercost")
    models = prefix / "share" / "layercost" / "configs" / "models"
    if not program.that("program and configs are there", pathlib.Path(program.path).is_file() and models.is_dir(),
                        sorted(str(p) for p in prefix.rglob("*"))[:40]):
        return
    (models / "Packed--Only-Here.json").write_bytes((models / "Qwen--Qwen3-4B.json").read_bytes())
    program.expect("--version", ["--version"], 0, stdout=[version_of(program.root)])
    program.expect("its own models", ["list", "models"], 0, stdout=["qwen3-4b", "only-here"])
    program.expect("plan", ["plan", "-m", "qwen3-4b", "--phase", "decode"], 0, stdout=["36 x dense"])
    share = prefix / "share"
    for made in ("man/man1/layercost.1", "bash-completion/completions/layercost", "doc/layercost/LICENSE"):
        program.that(f"{made} is there", (share / made).is_file() and (share / made).stat().st_size > 0)


def libraries_of(program):
    """{name: where the loader finds it} of the program, and of what it needs in turn."""
    text = command(program, "ldd", ["ldd", program.path]).stdout
    return {a: b for a, b in re.findall(r"^\s*(\S+)(?: => (.+?))?(?: \(0x\w+\))?$", text, re.MULTILINE)}


def brings_its_own(program, prefix):
    found = libraries_of(program)
    program.that("it needs libraries", len(found) > 4, found)
    foreign = {name: place for name, place in found.items() if not EVERY_SYSTEM_HAS.match(name) and
               not os.path.realpath(place).startswith(str(prefix.resolve()))}
    program.that("every library is its own or every system's", not foreign, foreign)


def deb(program):
    for tool in ("dpkg-deb", "dpkg-shlibdeps"):
        if not shutil.which(tool):
            skip(f"no {tool} here (Debian: dpkg-dev)")
    found = [p for p in cpack(program, "DEB") if p.suffix == ".deb"]
    if not program.that("one .deb", len(found) == 1, found):
        return
    command(program, "dpkg-deb -x", ["dpkg-deb", "-x", found[0], program.folder / "unpacked"])
    text = command(program, "dpkg-deb -f", ["dpkg-deb", "-f", found[0]]).stdout
    fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", text, re.MULTILINE))
    needs = fields.get("Depends", "")
    # What the program is linked to by name; the packages are the system's, which `dpkg -S` names as well.
    direct = re.findall(r"NEEDED\s+(\S+)", command(program, "objdump", ["objdump", "-p", program.path]).stdout)
    program.that("the program needs some", len(direct) > 4, direct)
    for library in direct:
        owners = subprocess.run(["dpkg", "-S", f"*/{library}"], capture_output=True, text=True, timeout=60).stdout
        names = {line.split(":")[0] for line in owners.splitlines() if "diversion" not in line}
        if names:
            program.that(f"it depends on the package of {library}",
                         any(re.search(rf"(^|[ ,|]){re.escape(n)}($|[ ,(])", needs) for n in names), (names, needs))
    program.that("its name", fields.get("Package") == "layercost" and fields.get("Version") == version_of(program.root),
                 fields)
    program.that("a description", "token costs" in fields.get("Description", ""), fields)
    usr = program.folder / "unpacked" / "usr"
    program.that("the licence", "License: Apache-2.0" in (usr / "share/doc/layercost/copyright").read_text())
    program.that("no libraries of its own", not (usr / "lib").exists())
    tried(program, usr)


def tarball(program):
    found = [p for p in cpack(program, "TGZ") if p.name.endswith(".tar.gz")]
    if not program.that("one tarball", len(found) == 1, found):
        return
    first, moved = program.folder / "first", program.folder / "moved to"  # a blank in the way
    shutil.unpack_archive(found[0], first)
    inside = list(first.iterdir())
    program.that("one folder in it", [p.name for p in inside] == [found[0].name.removesuffix(".tar.gz")], inside)
    inside[0].rename(moved)
    first.rmdir()
    tried(program, moved)
    brings_its_own(program, moved)
    copyrights = list((moved / "lib" / "layercost").glob("*.copyright"))
    program.that("with their licences, where dpkg tells them", copyrights or not shutil.which("dpkg"))


def wheel(program):
    python = os.environ.get("LAYERCOST_WHEEL_PYTHON", sys.executable)
    has = subprocess.run([python, "-c", "import scikit_build_core, pip, venv"], capture_output=True, text=True)
    if has.returncode:
        skip(f"{python} has no scikit-build-core: pip install scikit-build-core, or name another Python in "
             "LAYERCOST_WHEEL_PYTHON")
    settings = {"build-dir": program.folder / "build", "cmake.define.LAYERCOST_PROGRAM": program.path}
    done = command(program, "pip wheel", [python, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps",
                                          "--no-index", "--disable-pip-version-check", "-w", program.folder / "made",
                                          *(f"--config-settings={k}={v}" for k, v in settings.items()), program.root])
    made = list((program.folder / "made").glob("*.whl")) if done.returncode == 0 else []
    name = f"layercost-{version_of(program.root)}-py3-none-"
    if not program.that("one wheel, of this version, for any Python",
                        len(made) == 1 and made[0].name.startswith(name), made):
        return
    names = zipfile.ZipFile(made[0]).namelist()
    program.that("the licence", any(n.endswith("licenses/LICENSE") for n in names), names)
    program.that("no Python in it", not [n for n in names if n.endswith(".py")], names)
    venv = program.folder / "venv"
    command(program, "venv", [python, "-m", "venv", venv])
    command(program, "pip install", [venv / "bin" / "pip", "install", "--no-index", "--no-deps",
                                     "--disable-pip-version-check", made[0]])
    tried(program, venv)
    brings_its_own(program, venv)


def container(program):
    """No container is made: what the file names has to exist."""
    lines = re.sub(r"\\\n", " ", (program.root / "Containerfile").read_text()).splitlines()
    steps = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    known = {"FROM", "RUN", "COPY", "USER", "WORKDIR", "ENTRYPOINT", "ENV", "LABEL"}
    program.that("only instructions that it should need", {word for word, _ in steps} <= known, steps)
    froms = [rest for word, rest in steps if word == "FROM"]
    stages = {match[1] for match in (re.search(r" AS (\w+)$", rest) for rest in froms) if match}
    program.that("two stages on Debian slim", len(froms) == 2 and
                 all(re.match(r"docker\.io/library/debian:\w+-slim\b", f) for f in froms), froms)
    names = re.search(r'"(\w+)"', [rest for word, rest in steps if word == "ENTRYPOINT"][-1])
    program.that("the program is the entry", names and names[1] == "layercost", names)
    after = steps[len(steps) - 1 - [word for word, _ in steps][::-1].index("FROM"):]
    users = [rest for word, rest in after if word == "USER"]
    program.that("the last stage does not end as root", users and users[-1] not in ("root", "0"), users)
    made = {user for _, rest in after for user in re.findall(r"useradd (?:--?\S+ )*(\S+)", rest)}
    program.that("as a user that it makes", users[-1:] and users[-1] in made, (users, made))
    for word, rest in steps:
        if word != "COPY":
            continue
        *sources, _ = [part for part in rest.split() if not part.startswith("--")]
        stage = re.search(r"--from=(\w+)", rest)
        program.that(f"COPY {rest}: its stage", not stage or stage[1] in stages, stages)
        for source in sources if not stage else ():
            program.that(f"COPY: {source} exists", (program.root / source).exists())
    for script in re.findall(r"\bscripts/\S+", " ".join(rest for word, rest in steps if word == "RUN")):
        program.that(f"RUN: {script} exists", (program.root / script).is_file())
    packages = {word for word, rest in steps if word == "RUN" for line in re.findall(r"apt-get install ([^&;|]+)", rest)
                for word in line.split() if re.match(r"[a-z0-9]", word)}
    program.that("it installs packages", packages, lines)
    if not shutil.which("apt-cache") or not subprocess.run(["apt-cache", "show", "g++"], capture_output=True).stdout:
        print("no apt lists here: whether its packages exist was not looked at")
        return
    for package in packages:
        done = subprocess.run(["apt-cache", "show", package], capture_output=True, text=True, timeout=60)
        program.that(f"the package {package} exists", done.returncode == 0, done.stderr)


def main():
    program = Program(sys.argv)
    os.environ.pop("LAYERCOST_CONFIGS", None)
    with program.scratch():
        {"deb": deb, "tarball": tarball, "wheel": wheel, "container": container}[sys.argv[3]](program)
    return program.finish()


sys.exit(main())
