# What:   the script of docs/check-io.md, run by transformers on a small random checkpoint: `check` agrees with the file
#         that it writes, and does not with that of another layer. Exit code 77 where no Python has transformers.
# Usage:  check_io.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import re
import subprocess
import sys

from program import Program

CHECKPOINT = """
import torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM
torch.manual_seed(1)
Qwen3MoeForCausalLM(Qwen3MoeConfig(
    vocab_size=512, hidden_size=128, moe_intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, head_dim=32, num_experts=8, num_experts_per_tok=2)).save_pretrained("small")
"""
FINDS = "import importlib.util as u; exit(not all(map(u.find_spec, ('torch', 'transformers', 'safetensors'))))"


def python_with_transformers(root):
    for python in (root / ".venv-peers/bin/python3", sys.executable):
        try:
            if subprocess.run([python, "-c", FINDS], capture_output=True, timeout=120).returncode == 0:
                return python
        except OSError:
            pass
    print("skipped: no Python with torch, transformers and safetensors (scripts/race --install makes .venv-peers)")
    sys.exit(77)


def main():
    program = Program(sys.argv)
    python = python_with_transformers(program.root)
    text = (program.root / "docs/check-io.md").read_text()
    with program.scratch() as folder:
        (folder / "io.py").write_text(re.search(r"<!-- io.py -->\n```python\n(.*?)```", text, re.S)[1])
        for words in (["-c", CHECKPOINT], ["io.py", "small", "0", "io0.safetensors"],
                      ["io.py", "small", "1", "io1.safetensors"]):
            done = subprocess.run([python, *words], cwd=folder, capture_output=True, text=True, timeout=300)
            program.that(f"python {words[0]}", done.returncode == 0, done.stderr)
        check = ["check", "-m", "small", "--weights", "small", "--device", "cpu", "--layer", "1"]
        for of_type in ("f32", "bf16"):
            program.expect(f"it agrees: {of_type}", [*check, "--io", "io1.safetensors", "--dtype", of_type], 0,
                           stdout=["agrees", "2 sequences of 24 tokens"])
        program.expect("another layer's does not", [*check, "--io", "io0.safetensors"], 1, stdout=["WRONG"])
    return program.finish()


sys.exit(main())
