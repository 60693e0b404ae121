# What:   SPDX line in every source, at most 120 columns, no tabs, no trailing blanks, no path of one machine, and every
#         relative link of every Markdown file leads to something.
# Usage:  check_text.py ROOT
# SPDX-License-Identifier: Apache-2.0
import pathlib
import re
import sys
import urllib.parse

from files import all_files, is_source, report

COLUMNS = 120
# Folders that exist on one person's machine. /usr, /etc, /proc, /sys, /dev and /tmp exist everywhere.
MACHINE_PATH = re.compile(r"(?<![\w.$})])/(?:root|home|work|Users|mnt|data)/[\w.]")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
TEXT = {".md", ".json", ".txt", ".cff", ".yml", ".yaml", ".toml"}


def heading_anchors(text):
    anchors = set()
    for heading in re.findall(r"^#+\s+(.*)$", text, re.MULTILINE):
        anchors.add(re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-"))
    return anchors


def check_links(root, name, text):
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    for link in LINK.findall(text):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (root / name).parent / urllib.parse.unquote(path) if path else root / name
        if not target.exists():
            yield f"{name}: the link '{link}' leads nowhere"
        elif anchor and target.suffix == ".md" and anchor not in heading_anchors(target.read_text()):
            yield f"{name}: '{link}': that file has no such heading"


def main():
    root = pathlib.Path(sys.argv[1])
    problems, looked_at = [], 0
    for name in all_files(root):
        path = root / name
        source = is_source(root, name)
        if not source and path.suffix not in TEXT:
            continue
        looked_at += 1
        text = path.read_text()
        if source and "SPDX-License-Identifier: Apache-2.0" not in "\n".join(text.splitlines()[:40]):
            problems.append(f"{name}: no SPDX-License-Identifier line in its head")
        if path.suffix == ".md":
            problems += check_links(root, name, text)
        for number, line in enumerate(text.splitlines(), 1):
            if source and len(line) > COLUMNS:
                problems.append(f"{name}:{number}: {len(line)} columns, at most {COLUMNS}")
            if source and (line != line.rstrip() or "\t" in line):
                problems.append(f"{name}:{number}: tab or trailing blank")
            if MACHINE_PATH.search(line):
                problems.append(f"{name}:{number}: a path of one machine: {line.strip()[:80]}")
    return report("text", problems, looked_at)


sys.exit(main())
