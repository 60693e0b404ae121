# What:   layers of every kind are measured, saved and read again, with each type of cache that it can have: what a
#         result is held against when it is written has to know every op that a layer may have.
# Usage:  families.py PROGRAM ROOT [-v]
# SPDX-License-Identifier: Apache-2.0
import json
import shutil
import sys

from program import Program

# With every kind of op that others do not have: latents, vectors that stay f32, states, sinks, shared experts, chunks,
# temperatures, norms behind blocks, selections.
GOLDENS = ("deepseek_v2_lite", "glm4_moe_norms", "gpt_oss_yarn", "qwen3_next_turns", "llama4_scout", "gemma4_experts",
           "minimax_hf", "deepseek_v32_groups", "glm_moe_dsa_shared")


# All in one run where they can be: each probes the machine's limits first, which takes longer than such a layer.
def run(names, *more):
    return ["run", "--device", "cpu", "--threads", "1", "--rounds", "1", "--seconds", "0.01", "-c", "12", "--no-head",
            *(word for name in names.split() for word in ("-m", name)), "-o", "out.json", "--force", *more]


def saved(program, folder, title, words, points=1, right=True):
    """right: in f32. In bf16 one of 512 tiny layers, one upon the other, may miss its limit: that is not asked here."""
    for old in ("out.json", "out.partial.json"):
        (folder / old).unlink(missing_ok=True)
    done = program.run(words)
    path = next((folder / name for name in ("out.json", "out.partial.json") if (folder / name).exists()), None)
    if not program.that(f"{title}: saved", path is not None and "nothing was written" not in done.stderr, done.stderr):
        return
    known = ("measured",) if right else ("measured", "wrong")
    parts = [[part for part in point["parts"] if part["why"] != "not asked for"]
             for point in json.loads(path.read_text())["points"]]
    program.that(f"{title}: measured",
                 len(parts) == points and all(of and all(p["outcome"] in known for p in of) for of in parts), parts)
    program.expect(f"{title}: read again", ["report", path.name], 0)


def main():
    program = Program(sys.argv)
    with program.scratch() as folder:
        for name in (*GOLDENS, "deepseek_v3_groups"):
            shutil.copytree(program.root / "tests" / "golden" / name, folder / name)
        saved(program, folder, "in bf16", run(" ".join(GOLDENS), "--phase", "decode"), len(GOLDENS), right=False)
        saved(program, folder, "latents and selected keys in f32, both phases",
              run("deepseek_v2_lite glm_moe_dsa_shared", "--dtype", "f32"), 4)
        saved(program, folder, "f32 with a cache in bf16",
              run("gpt_oss_yarn", "--dtype", "f32", "--kv-type", "bf16", "--phase", "decode"), right=False)
        saved(program, folder, "bf16 with a cache in fp8",
              run("gpt_oss_yarn", "--kv-type", "fp8_e4m3", "--phase", "decode"), right=False)
        saved(program, folder, "one of two devices that share the experts",
              run("deepseek_v2_lite", "--dtype", "f32", "--phase", "decode", "--ep", "2"))
        rank = ["--dtype", "f32", "--phase", "decode", "-b", "3", "--tp", "2"]
        saved(program, folder, "one of two ranks, and a layer for multi-token prediction",
              run("deepseek_v3_groups deepseek_v32_groups", *rank, "--mtp"), 2)
        parts = json.loads((folder / "out.json").read_text())["points"][0]["parts"]
        program.that("no step has it", [p["count"] for p in parts if p["kind"] == "mtp moe"] == [0], parts)
        saved(program, folder, "one of two ranks, and of four devices", run("deepseek_v3_groups", *rank, "--ep", "4"))
        program.expect("no layers for multi-token prediction", run("deepseek_v2_lite", "--mtp"), 2, ["--mtp"])
        program.expect("ranks that do not divide heads", run("deepseek_v3_groups", "--tp", "3"), 2,
                       ["--tp", "3 ranks do not divide the 4 heads"])
        program.expect("devices that do not divide the experts", run("deepseek_v2_lite", "--ep", "5"), 2, ["--ep"])
        program.expect("a router for what others send", run("deepseek_v2_lite", "--ep", "2", "--routing", "router"), 2,
                       ["--ep", "--routing"])
        program.expect("latents in fp8", run("deepseek_v2_lite", "--kv-type", "fp8_e4m3"), 2, ["--kv-type"])
    return program.finish()


if __name__ == "__main__":
    sys.exit(main())
