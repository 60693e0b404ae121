# What:   `cmake --install` into a fresh folder that is then moved: the program runs there with its own configs; manual
#         page and completions are its own.
# Usage:  install.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import subprocess
import sys

from program import Program


def main():
    program = Program(sys.argv)
    build = pathlib.Path(program.path).parent
    os.environ.pop("LAYERCOST_CONFIGS", None)
    with program.scratch() as folder:
        done = subprocess.run(["cmake", "--install", build, "--prefix", folder / "first"], capture_output=True,
                              text=True, timeout=300)
        if not program.that("cmake --install", done.returncode == 0, done.stdout[-800:] + done.stderr[-800:]):
            return program.finish()
        (folder / "first").rename(folder / "moved")
        share = folder / "moved" / "share"
        for made, words in (("man/man1/layercost.1", ["man"]), ("zsh/site-functions/_layercost", ["completion", "zsh"]),
                            ("bash-completion/completions/layercost", ["completion", "bash"]),
                            ("fish/vendor_completions.d/layercost.fish", ["completion", "fish"])):
            text = (share / made).read_text() if (share / made).exists() else ""
            program.that(f"{made} is what the program says", text and text == program.run(words).stdout, text[:200])
        program.path = str(folder / "moved" / "bin" / "layercost")
        config = share / "layercost" / "configs" / "models" / "Qwen--Qwen3-4B.json"
        (config.parent / "Moved--Only-Here.json").write_bytes(config.read_bytes())
        program.expect("its own configs", ["list", "models"], 0, stdout=["only-here"])
        program.expect("and it runs", ["plan", "-m", "only-here", "--phase", "decode"], 0, stdout=["36 x dense"])
    return program.finish()


sys.exit(main())
