# SPDX-License-Identifier: Apache-2.0
"""Times transformers' own decoder layers on the CPU or a GPU, with weights that come from memory.

Once:    torch_layers.py --once --threads 2 --config C.json --points decode:1:1024 prefill:1:512
Worker:  torch_layers.py --threads 2, then one JSON object per line on stdin, one answer per line:
         {"config": "C.json", "phase": "decode", "batch": 1, "context": 1024, "dtype": "bfloat16", "passes": 5}

decode: one new token for each of `batch` sequences that hold `context` tokens in the cache already.
prefill: `batch` sequences of `context` tokens, nothing cached before.
A pass is one walk through R layers with weights of their own; its sample is the time over R. Every
applicable attention, cache and experts implementation is read; `samples_s` and the names beside it are
those of the fastest by median. A command may pin them: "attention": "sdpa", "cache": "static",
"experts_implementation": "grouped_mm", "mode": "eager". Weights are random; nothing is downloaded.
On the CPU nothing is compiled. With --device cuda times come from events on the GPU, attention is SDPA,
the cache of decode static, and each walk is read in up to four modes: "eager"; "graph", replayed as
one CUDA graph; "compiled" by torch.compile; "compiled graph". The GPU is kept busy until all of a walk is in its
queue, as ours is, so that GPU-time stands against GPU-time; `queue` says whether that could be done.
A command's "seconds": no further way is tried after so many.
"""

import argparse
import importlib
import json
import os
import statistics
import sys
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # some experts implementations would otherwise fetch kernels
import cache_sizes  # before torch, which may bind threads
import torch
import transformers
from transformers.cache_utils import Cache, DynamicLayer, StaticLayer
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

TILE = 2**22 + 17  # values; odd, so that no two rows of a power-of-two matrix start alike
GPU_ONLY = ("deepgemm", "sonicmoe")  # their kernels would be fetched
GRAPH_EXPERTS = (None, "grouped_mm", "batched_mm")  # the others ask the GPU how many tokens each expert has
MODES = ("eager", "graph", "compiled", "compiled graph")
SCRATCH_LIMIT = 2 << 30  # bytes one implementation may allocate beside weights and cache
MAX_LAYERS = 64
HOLD_CYCLES = (2 << 20, 2 << 23, 2 << 26, 2 << 29)  # of the GPU's clock: from 1 ms to 0.6 s


def last_level_cache(device):
    """Bytes of the GPU's L2, or of this machine's last-level caches."""
    return torch.cuda.get_device_properties(device).L2_cache_size if device.type == "cuda" else cache_sizes.HERE_BYTES


def held_samples(cuda, run, feed, inputs):
    """(seconds of each run between two events, whether the queue was held). A spinning kernel goes before the first
    event, longer until the host is done with launching when it ends. Where nothing helps (the run itself waits for the
    GPU, or is longer than the queue) the host's launches are in the time."""
    spin, length, samples, held = getattr(cuda, "_sleep", None), 0, [], True
    for fresh in inputs:
        while True:
            feed(fresh)
            begin, end = (cuda.Event(enable_timing=True) for _ in range(2))
            cuda.synchronize()
            if spin and length < len(HOLD_CYCLES):
                spin(HOLD_CYCLES[length])
            begin.record()
            run()
            end.record()
            late = begin.query()  # the GPU was past the spinning before the host was past its launches
            end.synchronize()
            if not late or not spin or length == len(HOLD_CYCLES):
                break
            length += 1
        held = held and not late
        samples.append(begin.elapsed_time(end) * 1e-3)
    return samples, held


class Filler:
    """Fills memory from one random tile at changing offsets: as fast as a copy, while
    normal_() would need a minute for 10 GB. Layers differ in content and in address."""

    def __init__(self, dtype, device):
        self.tile = (torch.randn(TILE, generator=torch.Generator().manual_seed(1)) * 0.02).to(device, dtype)
        self.offset = 0

    def fill(self, tensor, factor=1.0):
        flat = tensor.view(-1)
        done = 0
        while done < flat.numel():
            count = min(flat.numel() - done, TILE - self.offset)
            flat[done:done + count] = self.tile[self.offset:self.offset + count]
            done += count
            self.offset = (self.offset + count + 1009) % TILE
        return tensor.mul_(factor) if factor != 1.0 else tensor


class Stack:
    """Layers of one config and dtype, all of the kind that layer `index` of the model is."""

    def __init__(self, path, dtype_name, index, device):
        self.device = device
        raw = json.loads(Path(path).read_text())
        self.config = CONFIG_MAPPING[raw["model_type"]].from_dict(raw)
        self.dtype = getattr(torch, dtype_name)
        module = importlib.import_module(f"transformers.models.{raw['model_type']}.modeling_{raw['model_type']}")
        find = lambda end: next(v for k, v in vars(module).items() if k.endswith(end) and isinstance(v, type))
        self.layer_class = find("DecoderLayer")
        self.rotary = find("RotaryEmbedding")(self.config).to(device)
        self.index = self.config.num_hidden_layers - 1 if index is None else index
        self.filler, self.layers = Filler(self.dtype, device), []
        self.grow(1)
        layer = self.layers[0]
        self.experts = getattr(layer.mlp, "experts", None)
        size = lambda m: sum(p.numel() * p.element_size() for p in m.parameters())
        self.bytes = size(layer)
        self.expert_bytes = size(self.experts) // self.experts.num_experts if self.experts else 0
        self.dense_bytes = self.bytes - (size(self.experts) if self.experts else 0)
        types = getattr(self.config, "layer_types", None)
        window = getattr(self.config, "sliding_window", None) if raw["model_type"] != "llama" else None
        self.window = None if types and types[self.index] == "full_attention" and raw["model_type"] in (
            "qwen2", "qwen3") else window

    def grow(self, count):
        while len(self.layers) < count:
            with torch.device("meta"):  # no default initialisation: it costs more than the measurement
                layer = self.layer_class(self.config, self.index).to(self.dtype)
            layer = layer.to_empty(device=self.device).eval().requires_grad_(False)
            for name, parameter in layer.named_parameters():
                parameter.data.fill_(1.0) if "norm" in name else self.filler.fill(parameter.data)
            layer.self_attn.layer_idx = len(self.layers)  # its slot in the cache
            self.layers.append(layer)


class Bench:
    def __init__(self, threads, memory_bytes, device="cpu"):
        torch.set_num_threads(threads)
        self.device = torch.device(device)
        self.threads, self.memory = threads, memory_bytes
        self.key, self.stack = None, None

    def stack_for(self, command):
        key = (command["config"], command.get("dtype", "bfloat16"), command.get("layer"))
        if key != self.key:
            self.stack = None  # freed before the next one is made
            if self.device.type == "cuda":
                torch.compiler.reset()  # what was compiled holds the old one's weights
                torch.cuda.empty_cache()
            self.key, self.stack = key, Stack(*key, self.device)
        return self.stack

    def cache(self, stack, kind, count, batch, length):
        """`length` random keys and values per sequence and layer."""
        config, layers = stack.config, []
        attention = stack.layers[0].self_attn
        shape = (batch, config.num_key_value_heads, length, attention.head_dim)
        for _ in range(count if length else 0):
            empty = torch.empty((*shape[:2], 1, shape[3]), dtype=stack.dtype, device=self.device)
            if kind == "static":
                layer = StaticLayer(max_cache_len=length + 1)  # room for the new token, and no more to mask
                layer.lazy_initialization(empty, empty)
                layer.cumulative_length.fill_(length)
            else:
                layer = DynamicLayer()
                layer.lazy_initialization(empty, empty)
                layer.keys, layer.values = (torch.empty(shape, dtype=stack.dtype, device=self.device)
                                            for _ in range(2))
            stack.filler.fill(layer.keys, 50.0), stack.filler.fill(layer.values, 50.0)  # to a spread of 1
            layers.append(layer)
        return Cache(layers=layers or [DynamicLayer() for _ in range(count)])

    def walk(self, stack, cache, count, x, arguments, length):
        """One pass; after each layer its cache is put back, so that the context stays what it is."""
        for layer, slot in zip(stack.layers[:count], cache.layers):
            keys, values = slot.keys, slot.values
            x = layer(x, past_key_values=cache, use_cache=True, **arguments)
            if isinstance(slot, StaticLayer):
                slot.cumulative_length.fill_(length)
            elif length:
                slot.keys, slot.values = keys, values
            else:
                slot.reset()
        return x

    def plan(self, stack, batch, context, decode, cached):
        """(layers, why fewer than wanted): reuse distance of 2 x the cache, if memory allows."""
        element = stack.layers[0].self_attn.o_proj.weight.element_size()
        kv = 2 * batch * stack.config.num_key_value_heads * cached * stack.layers[0].self_attn.head_dim * element
        touched = stack.dense_bytes + kv
        if stack.experts:
            tokens, k = batch * (1 if decode else context), stack.config.num_experts_per_tok
            count = stack.experts.num_experts
            touched += stack.expert_bytes * count * (1 - (1 - k / count) ** tokens)
        wanted = int(min(MAX_LAYERS, max(2, -(-2 * last_level_cache(self.device) // touched) + 1)))
        fits = int(max(1, self.memory // (stack.bytes + kv)))
        note = f"memory limit of {self.memory >> 20} MiB: {fits} of {wanted} layers" if fits < wanted else None
        return min(wanted, fits), kv, note

    def variants(self, stack, command, decode, tokens):
        """(names, skipped with reasons); the first of each list is read with every other."""
        config, skipped = stack.config, {}
        attentions, caches, experts = ["sdpa", "eager"], ["static", "dynamic"] if decode else ["dynamic"], [None]
        if self.device.type == "cuda":
            attentions, caches = ["sdpa"], ["static"] if decode else ["dynamic"]
        scores = command["batch"] * config.num_attention_heads * command["context"] ** 2 * 4
        if not decode and scores > SCRATCH_LIMIT and "eager" in attentions:
            skipped["attention eager"] = f"scores of {scores >> 20} MiB"
            attentions.remove("eager")
        if stack.experts:
            experts = ["eager"] + sorted(ALL_EXPERTS_FUNCTIONS.valid_keys())
            for name in [n for n in experts if n in GPU_ONLY]:
                skipped[f"experts {name}"] = "needs a GPU" if self.device.type == "cpu" else "its kernels are fetched"
                experts.remove(name)
            gathered = tokens * config.num_experts_per_tok * stack.expert_bytes
            if gathered > SCRATCH_LIMIT and "batched_mm" in experts:
                skipped["experts batched_mm"] = f"copies {gathered >> 20} MiB of weights, one set per token"
                experts.remove("batched_mm")
        pick = lambda key, names: [command[key]] if command.get(key) else names
        return (pick("attention", attentions), pick("cache", caches),
                pick("experts_implementation", experts) if stack.experts else experts, skipped)

    def on_cpu(self, walk, inputs, mode):
        if mode != "eager":
            raise RuntimeError("only eager on the CPU")
        samples = []
        for x in inputs[1:]:  # fresh tokens, so fresh experts
            start = time.perf_counter()
            walk(x)
            samples.append(time.perf_counter() - start)
        return samples, None

    def on_gpu(self, walk, inputs, mode):
        """Seconds of each walk between two events, and what is to be said of the queue."""
        call = walk
        if "compiled" in mode:
            call = torch.compile(walk, dynamic=False)
        x = inputs[0].clone()  # one address for all passes: a graph reads there
        with torch.cuda.device(self.device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # compiles, chooses algorithms, allocates
                for _ in range(3):
                    call(x)
            torch.cuda.current_stream().wait_stream(side)
            run = lambda: call(x)
            if "graph" in mode:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph):
                    call(x)
                run = graph.replay
            samples, held = held_samples(torch.cuda, run, x.copy_, inputs)
        return samples[1:], "queue held" if held else "queue not held"  # the first loads what the replay needs

    @torch.inference_mode()
    def point(self, command):
        phase, batch, context = command["phase"], command["batch"], command["context"]
        passes, decode = command.get("passes", 5), phase == "decode"
        if phase not in ("decode", "prefill"):
            raise ValueError(f"phase {phase}")
        stack = self.stack_for(command)
        # A window of W lets the new token see W - 1 earlier ones; transformers keeps no more than those.
        cached = 0 if not decode else min(context, stack.window - 1) if stack.window else context
        count, kv_bytes, note = self.plan(stack, batch, context, decode, cached)
        del stack.layers[max(count, 1):]
        stack.grow(count)
        queries = 1 if decode else context
        position = torch.arange(queries, device=self.device)[None] + (context if decode else 0)
        inputs = [torch.randn(batch, queries, stack.config.hidden_size).to(self.device, stack.dtype)
                  for _ in range(passes + 1)]
        arguments = {"position_ids": position, "position_embeddings": stack.rotary(inputs[0], position),
                     "attention_mask": None}
        attentions, caches, experts, skipped = self.variants(stack, command, decode, batch * queries)
        readings, hit = [], []
        deadline = time.monotonic() + command.get("seconds", float("inf"))

        def read(attention, kind, expert, mode="eager"):
            if readings and time.monotonic() > deadline:
                skipped[f"{attention} {kind} {expert} {mode}"] = "no time left for it"
                return None
            stack.config._attn_implementation, stack.config._experts_implementation = attention, expert
            if not decode:  # as the model does once for all its layers; None where sdpa masks by itself
                make = create_sliding_window_causal_mask if stack.window else create_causal_mask
                arguments["attention_mask"] = make(config=stack.config, inputs_embeds=inputs[0], attention_mask=None,
                                                   past_key_values=None, position_ids=position)
            try:
                cache = self.cache(stack, kind, count, batch, cached)
                hit.clear()
                hooks = [layer.mlp.gate.register_forward_hook(lambda _m, _i, out: hit.append(out[2].unique().numel()))
                         for layer in stack.layers if stack.experts]
                self.walk(stack, cache, count, inputs[0], arguments, cached)  # warms up and counts experts
                for hook in hooks:
                    hook.remove()
                walk = lambda x: self.walk(stack, cache, count, x, arguments, cached)
                measure = self.on_gpu if self.device.type == "cuda" else self.on_cpu
                walks, queue = measure(walk, inputs, mode)
                samples = [seconds / count for seconds in walks]
            # torch.compile raises whatever its parts raise.
            except (RuntimeError, NotImplementedError, TypeError) if mode == "eager" else Exception as error:
                tried = f"{attention} {kind} {expert}" + ("" if mode == "eager" else f" {mode}")
                skipped[tried] = (str(error).splitlines() or [type(error).__name__])[0][:200]
                return None
            readings.append({"attention": attention, "cache": kind, "experts_implementation": expert, "mode": mode,
                             "queue": queue, "median_s": statistics.median(samples), "samples_s": samples})
            return readings[-1]

        best = lambda: min(readings, key=lambda r: r["median_s"])
        modes = MODES if self.device.type == "cuda" else MODES[:1]
        if command.get("mode"):
            modes = [command["mode"]]
        for kind in caches:
            for attention in attentions:
                read(attention, kind, experts[0], modes[0])
        for expert in experts[1:]:  # they do not depend on how attention was computed
            first = best() if readings else {"attention": attentions[0], "cache": caches[0]}
            read(first["attention"], first["cache"], expert, modes[0])
        if not readings:
            raise RuntimeError(f"no implementation ran: {skipped}")
        chosen = best()
        for mode in modes[1:]:
            for expert in [e for e in experts if e in GRAPH_EXPERTS]:
                # Compiling takes most of the time: only what is best without.
                if "compiled" not in mode or expert == min(
                        (r for r in readings if r["experts_implementation"] in GRAPH_EXPERTS),
                        key=lambda r: r["median_s"], default=chosen)["experts_implementation"]:
                    read(chosen["attention"], chosen["cache"], expert, mode)
        chosen = best()
        path = Path(command["config"])
        reuse = count * (stack.dense_bytes + kv_bytes) + sum(hit) * stack.expert_bytes
        return {
            "implementation": "pytorch", "version": torch.__version__, "transformers": transformers.__version__,
            "model": command.get("name") or (path.parent.name if path.stem == "config" else path.stem),
             "family": stack.config.model_type,
            "phase": phase, "batch": batch, "context": context, "dtype": str(stack.dtype).split(".")[-1],
            "threads": self.threads, "layers": count, "reuse_distance_bytes": reuse,
            "last_level_cache_bytes": last_level_cache(self.device),
            "cold": reuse >= 2 * last_level_cache(self.device), "note": note,
            "device": "cpu" if self.device.type == "cpu" else torch.cuda.get_device_name(self.device),
            "mode": chosen["mode"], "queue": chosen["queue"],
            "attention": chosen["attention"], "cache": chosen["cache"],
            "experts_implementation": chosen["experts_implementation"], "samples_s": chosen["samples_s"],
            "readings": readings, "skipped": skipped,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--memory-gib", type=float, default=10.0, help="for weights and cache together")
    parser.add_argument("--once", action="store_true", help="measure --points of --config and end")
    parser.add_argument("--config", help="a config.json")
    parser.add_argument("--layer", type=int, help="the layer of the model to measure; default the last")
    parser.add_argument("--points", nargs="+", default=["decode:1:1024"], metavar="PHASE:BATCH:CONTEXT")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--passes", type=int, default=5)
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(1)
    bench = Bench(arguments.threads, int(arguments.memory_gib * 2**30), arguments.device)
    if arguments.once:
        if not arguments.config:
            parser.error("--once needs --config")
        split = [point.split(":") for point in arguments.points]
        lines = (json.dumps({"config": arguments.config, "phase": phase, "batch": int(batch), "context": int(context),
                             "dtype": arguments.dtype, "passes": arguments.passes, "layer": arguments.layer})
                 for phase, batch, context in split)
    else:
        lines = sys.stdin
    failed = False
    for line in lines:
        if not line.strip():
            continue
        try:
            answer = bench.point(json.loads(line))
        except Exception as error:  # a worker answers every line, and lives on
            answer, failed = {"error": f"{type(error).__name__}: {error}"}, True
        print(json.dumps(answer), flush=True)
    return 1 if failed and arguments.once else 0


if __name__ == "__main__":
    sys.exit(main())
