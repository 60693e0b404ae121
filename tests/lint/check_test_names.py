# What:   no name of a test, and nothing that GoogleTest prints beside it, holds the bytes of an object: they change
#         from build to build. A type that is a parameter needs a PrintTo (tests/print.h).
# Usage:  check_test_names.py PROGRAM...
# SPDX-License-Identifier: Apache-2.0
import re
import subprocess
import sys

from files import report


def main():
    problems, names = [], 0
    for program in sys.argv[1:]:
        listed = subprocess.run([program, "--gtest_list_tests"], capture_output=True, text=True, check=True).stdout
        tests = [line for line in listed.splitlines() if line.startswith("  ")]
        names += len(tests)
        problems += [f"{program}:{test[:160]}" for test in tests if re.search(r"-byte object <|\b0x[0-9a-f]{6}", test)]
        problems += [f"{program}: lists no test"] * (not tests)
    return report("test names", problems, names)


sys.exit(main())
