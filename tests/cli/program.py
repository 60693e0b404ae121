# What:   runs the program in a scratch folder and holds exit code and output against what is expected.
# SPDX-License-Identifier: Apache-2.0
import contextlib
import pathlib
import shutil
import subprocess
import tempfile


class Program:
    def __init__(self, argv):
        self.path, self.root = str(pathlib.Path(argv[1]).resolve()), pathlib.Path(argv[2]).resolve()
        self.passed, self.failed = 0, 0
        self.folder = None

    @contextlib.contextmanager
    def scratch(self):
        with tempfile.TemporaryDirectory(prefix="layercost-cli-") as folder:
            self.folder = pathlib.Path(folder)
            yield self.folder

    def plant_small(self):
        """The small mixture as model "small" in the scratch folder."""
        (self.folder / "small").mkdir()
        shutil.copy(pathlib.Path(__file__).parent / "small_moe.json", self.folder / "small" / "config.json")

    def that(self, title, good, seen=""):
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print(f"WRONG  {title}\n       {str(seen)[:2000]}", flush=True)
        return good

    def run(self, words, timeout=300):
        return subprocess.run([self.path, *map(str, words)], cwd=self.folder, capture_output=True, text=True,
                              errors="replace", timeout=timeout, stdin=subprocess.DEVNULL)

    # Bad input (exit code 2) also has to be told in one line on standard error, with nothing on standard output.
    def expect(self, title, words, code, stderr=(), stdout=(), timeout=300):
        done = self.run(words, timeout)
        problems = []
        if done.returncode != code:
            problems.append(f"exit code {done.returncode}, expected {code}")
        problems += [f"standard error lacks {word!r}" for word in stderr if word not in done.stderr]
        problems += [f"standard output lacks {word!r}" for word in stdout if word not in done.stdout]
        # The benchmark engine behind `ops` speaks before a case is looked at.
        if code == 2 and words[:1] != ["ops"]:
            if done.stderr.count("\n") != 1 or not done.stderr.startswith("layercost: "):
                problems.append("standard error is not one line that starts with 'layercost: '")
            if len(done.stderr) > 1000:
                problems.append(f"the message has {len(done.stderr)} characters")
            if any(ord(c) < 32 and c != "\n" for c in done.stderr):
                problems.append("a control character in the message")
            if done.stdout:
                problems.append("something on standard output")
        shown = " ".join(map(str, words))[:200]
        self.that(title, not problems, f"layercost {shown}\n       {'; '.join(problems)}\n       {done.stderr[-600:]}")
        return done

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0

