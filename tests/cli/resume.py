# What:   a run that is taken up again continues the same one: another model of the same name, another machine, another
#         policy and a file whose parts do not fit are refused with exit code 2, naming what differs with both values,
#         and the file stays as it was. What failed is measured again, what was measured stays, a price stays.
# Usage:  resume.py PROGRAM ROOT
# SPDX-License-Identifier: Apache-2.0
import copy
import json
import sys

from program import Program

# Two published kinds of trouble in one: hidden 64 -> 128 and layers 2 -> 4 under one name.
TOY = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
       "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2, "vocab_size": 256,
       "rms_norm_eps": 1e-5, "max_position_embeddings": 128, "tie_word_embeddings": False}
WORDS = ["run", "-m", "small", "--phase", "decode", "-b", "2", "-c", "16"]


def write(path, content):
    path.write_text(json.dumps(content))


def part_of(result, kind, point=0):
    return next(part for part in result["points"][point]["parts"] if part["kind"] == kind)


class Case:
    def __init__(self, program, folder, words):
        self.program, self.folder, self.words = program, folder, words

    def refused(self, title, result, words, change, more=("--rounds", "2")):
        other = copy.deepcopy(result)
        change(other)
        write(self.folder / "x.json", other)
        self.program.expect(title, [*self.words, *more, "--resume", "x.json"], 2, ["x.json", *words])
        self.program.that(f"{title}: the file stays", json.loads((self.folder / "x.json").read_text()) == other)

    def accepted(self, title, result, change=lambda r: None, more=("--rounds", "2")):
        other = copy.deepcopy(result)
        change(other)
        write(self.folder / "x.json", other)
        self.program.expect(title, [*self.words, *more, "--resume", "x.json"], 0)
        return json.loads((self.folder / "x.json").read_text())


def parts(case, first):
    that = case.program.that
    place = ["points[0].parts"]

    def ops_of(kind):
        return lambda r, ops: part_of(r, kind)["ops"].__setitem__(slice(None), ops)

    case.refused("no parts", first, place, lambda r: r["points"][0].update(parts=[]))
    case.refused("a part is missing", first, place, lambda r: r["points"][0]["parts"].pop())
    case.refused("the list of ops is cut short", first, ["parts[0].ops[0].bytes", "5120"],
                 lambda r: ops_of("moe")(r, part_of(r, "moe")["ops"][:1]))
    case.refused("no ops", first, ["parts[0]", "no ops"], lambda r: ops_of("moe")(r, []))
    case.refused("a variant that there is not", first, ["parts[0].ops[0].variant", "no_such"],
                 lambda r: part_of(r, "moe")["ops"][0].update(variant="no_such"))
    case.refused("rounds that do not begin at 0", first, ["rounds[0].index", "'1'", "'0'"],
                 lambda r: part_of(r, "moe")["rounds"][0].update(index=1))

    def swap_kinds(r):
        moe, head = part_of(r, "moe"), part_of(r, "head")
        moe["kind"], head["kind"] = "head", "moe"
    case.refused("samples under the name of another part", first, place[:0], swap_kinds)

    resumed = case.accepted("parts in another order", first, lambda r: r["points"][0]["parts"].reverse())
    that("are taken by their kind", [p["kind"] for p in resumed["points"][0]["parts"]] == ["moe", "head"])
    for kind in ("moe", "head"):
        before, after = part_of(first, kind), part_of(resumed, kind)
        that(f"{kind}: has its own samples and one round more",
             after["rounds"][0] == before["rounds"][0] and len(after["rounds"]) == 2, after["rounds"])
        that(f"{kind}: has its own ops",
             [op["case_text"] for op in after["ops"]] == [op["case_text"] for op in before["ops"]])

    def fail(r):
        part_of(r, "head").update(outcome="failed", why="broke", rounds=[], labels=[])
        part_of(r, "moe").update(outcome="failed", why="broke in round 2")
        r["complete"] = True
    resumed = case.accepted("a part that failed", first, fail, ("--rounds", "1"))
    that("is measured again", part_of(resumed, "head")["outcome"] == "measured" and resumed["complete"] is True)
    that("what it had before stays", part_of(resumed, "moe")["outcome"] == "measured" and
         part_of(resumed, "moe")["rounds"] == part_of(first, "moe")["rounds"])


def machines(case, first):
    facts = {"kernel": "Linux 5.15.0-1 x86_64", "memory_bytes": 67e9, "last_level_cache_bytes": 123456789.0,
             "compiler": "gcc 9.4.0", "operating_system": "Ubuntu 22.04.5 LTS", "huge_pages": "other",
             "build_type": "debug", "features": ["avx512_bf16"], "libraries": {"oneDNN": "9.9"}, "device_name": "Other",
             "threads_pinned": not first["environment"].get("threads_pinned", True)}
    for name, value in facts.items():
        def change(r):
            r["environment"].update({name: value})
            if name == "last_level_cache_bytes":  # which its stacks say too
                for stack in (part["stack"] for point in r["points"] for part in point["parts"] if "stack" in part):
                    stack[name] = value

        case.refused(f"another machine: {name}", first, [f"environment.{name}: was '"], change)
    case.refused("another build", first, ["commit: was 'abc'"], lambda r: r.update(commit="abc"))
    case.accepted("another load", first, lambda r: r["environment"].update(
        load_average=99.0, available_bytes=1e9, memory_bytes=r["environment"]["memory_bytes"] * 1.0005), ())


def models(case, first):
    folder, that = case.folder, case.program.that
    toy = Case(case.program, folder, ["run", "-m", "toy", "--phase", "decode", "-b", "1", "-c", "16", "--dtype", "f32",
                                      "--no-head"])
    (folder / "toy").mkdir()
    write(folder / "toy" / "config.json", TOY)
    case.program.expect("a run of a toy", [*toy.words, "--seconds", "0.01", "--rounds", "1", "-o", "toy.json"], 0)
    run = json.loads((folder / "toy.json").read_text())
    write(folder / "toy" / "config.json", {**TOY, "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 4})
    toy.refused("another model of the same name", run, ["models[0].hidden", "'64'", "'128'"], lambda r: None)
    write(folder / "toy" / "config.json", {**TOY, "intermediate_size": 256})
    toy.refused("of the same width", run, ["models[0].parameters_total"], lambda r: None)
    write(folder / "toy" / "config.json", {**TOY, "rope_theta": 5e5})
    toy.refused("of the same sizes", run, ["models[0].digest"], lambda r: None)
    write(folder / "toy" / "config.json", {**TOY, "max_position_embeddings": 64})
    resumed = toy.accepted("of which only the longest context differs", run, more=())
    that("head: not asked for is not missing", resumed["complete"] is True and
         part_of(resumed, "head")["outcome"] == "skipped")

    def older(r):
        r["schema_version"] = "1.3.0"
        r.pop("policy", None)
        for model in r["models"]:
            model.pop("digest", None)
    resumed = case.accepted("an older file says less", first, older, ("--rounds", "1", "--seconds", "0.01"))
    that("and more afterwards", resumed["schema_version"] == "1.5.0" and len(resumed["models"][0]["digest"]) == 16 and
         resumed["policy"]["rounds"] == 1, resumed["models"])


def pins(case, first):
    folder, that = case.folder, case.program.that
    words = [*WORDS, "--seconds", "0.01", "--rounds", "1", "--pin-from", "x.json", "-o", "pinned.json"]
    other = copy.deepcopy(first)
    variants = {"qkv": "plain_loops", "o": "plain_loops"}
    for op in part_of(other, "moe")["ops"]:
        op["variant"] = variants.get(op["component"], op["variant"])

    def run(title, code, said, change=lambda r: None, batch="2"):
        result = copy.deepcopy(other)
        change(result)
        write(folder / "x.json", result)
        (folder / "pinned.json").unlink(missing_ok=True)
        call = [batch if before == "-b" else word for before, word in zip(["", *words], words)]
        case.program.expect(f"pins: {title}", call, code, said)
        return json.loads((folder / "pinned.json").read_text()) if code == 0 else None

    pinned = run("of the same model", 0, [])
    that("are replayed", {op["component"]: op["variant"] for op in part_of(pinned, "moe")["ops"]} ==
         {op["component"]: op["variant"] for op in part_of(other, "moe")["ops"]})
    that("nothing to say", not [w for w in pinned["warnings"] if w["code"].startswith("pins")], pinned["warnings"])
    run("of another model of the same name", 2, ["x.json", "models[0].hidden", "'64'", "'512'"],
        lambda r: r["models"][0].update(hidden=64))
    run("of a model of the same sizes", 2, ["x.json", "models[0].digest"],
        lambda r: r["models"][0].update(digest="0" * 16))
    run("of no point of this run", 2, ["x.json", "points", "small decode batch 4 context 16"], batch="4")
    pinned = run("of another machine and build are told", 0, ["environment.kernel was 'Linux 1'", "commit was 'abc'"],
                 lambda r: (r["environment"].update(kernel="Linux 1"), r.update(commit="abc"),
                            r["models"][0].update(digest="0" * 16)))
    that("in the file, too", len([w for w in pinned["warnings"] if w["code"] == "pins_from_elsewhere"]) == 2)


def policies(case, first):
    that = case.program.that
    case.refused("fewer rounds", first, ["policy.rounds", "'5'", "'2'"], lambda r: r["policy"].update(rounds=5))
    case.refused("other samples", first, ["policy.cell_s", "'0.01'", "'0.02'"], lambda r: None, ("--seconds", "0.02"))
    case.refused("without the head", first, ["policy.head"], lambda r: None, ("--no-head",))
    case.refused("other pins", first, ["policy.pins", "'linear=plain_loops'"], lambda r: None,
                 ("--pin", "linear=plain_loops"))
    case.refused("another price", first, ["price.id", "'1/h'", "'2/h'"], lambda r: None, ("--price", "2/h"))
    resumed = case.accepted("without a price", first, more=())
    that("the price stays", resumed.get("price") == first["price"], resumed.get("price"))
    resumed = case.accepted("a price where there was none", first, lambda r: r.pop("price"), ("--price", "3/h"))
    that("is taken", resumed["price"]["usd_per_h"] == "3")
    mixed = {"name": "3:1", "input": 0.75, "cached_input": 0, "output": 0.25}

    def with_mix(result):
        result["price"].update(utilisation=0.5, mix=mixed)

    resumed = case.accepted("a price without its mix", first, with_mix, ("--price", "1/h"))
    that("the mix stays", resumed["price"].get("mix") == mixed and resumed["price"].get("utilisation") == 0.5,
         resumed["price"])
    case.refused("another mix", first, ["price.mix", "'3:1'", "'1:1'"], with_mix, ("--price", "1/h", "--mix", "1:1"))
    case.refused("another utilisation", first, ["price.utilisation"], with_mix,
                 ("--price", "1/h", "--utilisation", "0.6"))
    that("the depths are there once", len(resumed["depths"]) == 1 and resumed["depths"][0]["depths"] == [1, 2],
         resumed["depths"])
    resumed = case.accepted("the depths that are missing", first, lambda r: r.update(depths=[]), ())
    that("are measured", len(resumed["depths"]) == 1 and resumed["depths"][0]["depths"] == [1, 2], resumed["depths"])
    resumed = case.accepted("stopped after one of two rounds", first, lambda r: r["policy"].update(rounds=2), ())
    that("goes on to the second, which nobody named again", len(part_of(resumed, "moe")["rounds"]) == 2)


def main():
    program = Program(sys.argv)
    with program.scratch() as folder:
        program.plant_small()
        program.expect("a run", [*WORDS, "--seconds", "0.01", "--rounds", "1", "--depth", "1,2", "--price", "1/h",
                                 "-o", "first.json"], 0)
        first = json.loads((folder / "first.json").read_text())
        program.that("complete", first["complete"] is True)
        program.that("a price is no path", first["command"][-4:] == ["--price", "1/h", "-o", "first.json"],
                     first["command"])
        case = Case(program, folder, WORDS)
        parts(case, first)
        machines(case, first)
        models(case, first)
        pins(case, first)
        if "policy" in first:
            policies(case, first)
        else:
            program.that("the policy is stored", False)
    return program.finish()


sys.exit(main())
