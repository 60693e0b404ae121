# SPDX-License-Identifier: Apache-2.0
"""Times llama.cpp's decoder layers on the CPU, with weights that come from memory.

Once:    llama_cpp_layers.py --once --threads 2 --config C.json --points decode:1:1024 prefill:1:512
Worker:  llama_cpp_layers.py --threads 2, then one JSON object per line on stdin, one answer per line:
         {"config": "C.json", "phase": "decode", "batch": 1, "context": 1024, "passes": 5, "format": "q4_k"}

decode: one new token for each of `batch` sequences that hold `context` tokens in the cache already.
prefill: `batch` sequences of `context` tokens, nothing cached before.
llama.cpp runs whole models only. So a layer is the difference of two models that differ in their depth alone: a sample
is (T(deep) - T(shallow)) / (layers between them), the two walked in turns: head, embedding and the start of a walk
cancel, and either walk finds its weights as cold as both together make them. Fresh random tokens each time.

The models have the real shapes, random values in bf16 or in one of GGUF's formats with scales (norms, biases and the
router f32, as llama.cpp's own converter writes them, embedding and head bf16) and a vocabulary of 1024. They are GGUF
streams that are made while llama.cpp reads them: nothing is written to a disk. They are read into memory, not mapped,
on huge pages where the C library can ask for them.
The cached tokens of decode come from a narrow model with the same heads; every sequence has cells of its own.

Flash attention on and off and K and V in f16 and bf16 are read; `samples_s` are those of the fastest by median.
A command may pin them: "flash_attention": true, "kv_type": "f16". GGML's AMX and repacked buffers are left on, as by
default: they hold weights in some formats with scales, as they do for llama.cpp's users.
"""

import argparse
import bisect
import ctypes
import itertools
import json
import os
import signal
import statistics
import sys
import time
from pathlib import Path

TUNABLE = "glibc.malloc.hugetlb=1"  # huge pages by madvise; read once, when a process starts
if __name__ == "__main__" and "hugetlb" not in os.environ.get("GLIBC_TUNABLES", ""):
    joined = ":".join(filter(None, (os.environ.get("GLIBC_TUNABLES"), TUNABLE)))
    # Threads that spin between two operations, as with llama.cpp's own pool; what the caller sets stays.
    wait = os.environ.get("OMP_WAIT_POLICY", "active")
    os.execve(sys.executable, [sys.executable, *sys.argv],
              {**os.environ, "GLIBC_TUNABLES": joined, "OMP_WAIT_POLICY": wait})

import cache_sizes  # before llama.cpp, which may bind threads
import gguf
import llama_cpp
import numpy

TILE = 2**22 + 17  # values; odd, so that no two rows of a power-of-two matrix start alike
VOCABULARY = 1024
UBATCH = 512  # llama.cpp's default
SPARE_BYTES = 1 << 30  # left free beside weights and cache
MAX_LAYERS = 64
READING_S = 10  # no reading takes much longer, but has three passes
KV_TYPES = {"f16": llama_cpp.GGML_TYPE_F16, "bf16": int(gguf.GGMLQuantizationType.BF16)}
# GGUF's type, elements and bytes of a block, and f16 scales: where in it, and the value of one.
FORMATS = {"bf16": ("BF16", 1, 2, {}), "q8_0": ("Q8_0", 32, 34, {0: 3e-4}), "q4_0": ("Q4_0", 32, 18, {0: 4e-3}),
           "q4_k": ("Q4_K", 256, 144, {0: 6e-5, 2: 4e-4}), "q5_k": ("Q5_K", 256, 176, {0: 3e-5, 2: 4e-4}),
           "q6_k": ("Q6_K", 256, 210, {208: 9e-6}), "mxfp4": ("MXFP4", 32, 17, {})}
ARCHITECTURES = {"llama": "llama", "mixtral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "qwen3_moe": "qwen3moe"}


def available_bytes():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


class Shape:
    """The sizes of one layer of a config.json; the names of its tensors are GGUF's."""

    def __init__(self, path, weight_format="bf16"):
        if weight_format not in FORMATS:
            raise ValueError(f"llama.cpp has no format {weight_format}; of ours {', '.join(FORMATS)}")
        self.format = weight_format
        raw = json.loads(Path(path).read_text())
        self.family = raw["model_type"]
        if self.family not in ARCHITECTURES:
            raise ValueError(f"model_type {self.family} is none of {', '.join(ARCHITECTURES)}")
        if raw.get("sliding_window") and raw.get("use_sliding_window", True):
            raise ValueError("a sliding window is not read here")
        self.architecture = ARCHITECTURES[self.family]
        self.hidden, self.heads = raw["hidden_size"], raw["num_attention_heads"]
        self.kv_heads = raw.get("num_key_value_heads") or self.heads
        self.head = raw.get("head_dim") or self.hidden // self.heads
        self.experts = raw.get("num_local_experts") or raw.get("num_experts") or 0
        self.top_k = raw.get("num_experts_per_tok") if self.experts else 0
        self.ffn = raw["moe_intermediate_size"] if self.family == "qwen3_moe" else raw["intermediate_size"]
        self.epsilon, self.theta = raw["rms_norm_eps"], raw.get("rope_theta", 10000.0)
        self.longest, self.bias = raw["max_position_embeddings"], bool(raw.get("attention_bias"))
        self.llama3 = (raw.get("rope_scaling") or {}).get("rope_type") == "llama3"
        # rope_scaling of another kind costs nothing: its factors are part of the same product.

    def narrow(self):
        """Same heads, next to no weights: what fills a cache of these layers in no time."""
        small = object.__new__(Shape)
        hidden = self.hidden if self.architecture == "qwen2" else 64  # that reader wants as wide a query
        small.__dict__.update(self.__dict__, hidden=hidden, ffn=32, experts=min(self.experts, 2),
                              top_k=min(self.top_k, 1), format="bf16")
        return small

    def layer(self, index):
        """(name, shape as numpy has it, is f32)"""
        q, kv, base = self.heads * self.head, self.kv_heads * self.head, f"blk.{index}."
        rows = [("attn_norm.weight", (self.hidden,), True), ("ffn_norm.weight", (self.hidden,), True),
                ("attn_q.weight", (q, self.hidden), False), ("attn_k.weight", (kv, self.hidden), False),
                ("attn_v.weight", (kv, self.hidden), False), ("attn_output.weight", (self.hidden, q), False)]
        if self.architecture == "qwen2" or self.bias:
            rows += [(f"attn_{name}.bias", (size,), True) for name, size in (("q", q), ("k", kv), ("v", kv))]
        if self.bias:
            rows.append(("attn_output.bias", (self.hidden,), True))
        if self.architecture.startswith("qwen3"):
            rows += [(f"attn_{name}_norm.weight", (self.head,), True) for name in "qk"]
        if self.experts:
            rows.append(("ffn_gate_inp.weight", (self.experts, self.hidden), True))
        many, end = ((self.experts,), "_exps") if self.experts else ((), "")
        rows += [(f"ffn_{name}{end}.weight", (*many, *size), False) for name, size in
                 (("gate", (self.ffn, self.hidden)), ("up", (self.ffn, self.hidden)),
                  ("down", (self.hidden, self.ffn)))]
        return [(base + name, size, f32) for name, size, f32 in rows]

    def tensors(self, depth):
        rows = [("token_embd.weight", (VOCABULARY, self.hidden), False),
                ("output_norm.weight", (self.hidden,), True), ("output.weight", (VOCABULARY, self.hidden), False)]
        if self.llama3:
            rows.append(("rope_freqs.weight", (self.head // 2,), True))
        return rows + [row for index in range(depth) for row in self.layer(index)]

    def content(self, name, f32):
        # Embeddings spread by 8, not 0.02 as the weights: what the layers add is then small beside what tells tokens
        # apart. Else all of a batch would soon go to the same experts.
        if f32:
            return "f32" if "gate_inp" in name else "ones"
        return {"token_embd.weight": "embedding", "output.weight": "bf16"}.get(name, self.format)

    def bytes_of(self, name, size, f32):
        count = int(numpy.prod(size))
        if f32:
            return 4 * count
        if "blk." not in name:
            return 2 * count
        _, elements, block_bytes, _ = FORMATS[self.format]
        if size[-1] % elements:
            raise ValueError(f"{name}: rows of {size[-1]}, no multiple of {self.format}'s {elements}")
        return count // elements * block_bytes

    def layer_bytes(self):
        """(of the layer, of one expert of it)"""
        rows = [(name, self.bytes_of(name, size, f32)) for name, size, f32 in self.layer(0)]
        experts = sum(count for name, count in rows if "_exps" in name)
        return sum(count for _, count in rows), experts / self.experts if self.experts else 0

    def touched_bytes(self, tokens):
        """Of the weights of a layer, in a walk of so many tokens whose experts are drawn evenly."""
        total, expert = self.layer_bytes()
        if not self.experts:
            return total
        return total - expert * self.experts * (1 - self.top_k / self.experts) ** tokens

    def header(self, depth):
        """The GGUF stream up to its data, and (start, end, tensor's number, kind of content) of each tensor."""
        memory = os.memfd_create("gguf")
        with os.fdopen(memory, "rb") as file:
            writer = gguf.GGUFWriter(f"/proc/self/fd/{memory}", self.architecture)
            writer.add_context_length(self.longest)
            writer.add_embedding_length(self.hidden)
            writer.add_block_count(depth)
            writer.add_feed_forward_length(self.ffn)
            writer.add_head_count(self.heads)
            writer.add_head_count_kv(self.kv_heads)
            writer.add_key_length(self.head)
            writer.add_value_length(self.head)
            writer.add_rope_dimension_count(self.head)
            writer.add_rope_freq_base(self.theta)
            writer.add_layer_norm_rms_eps(self.epsilon)
            writer.add_vocab_size(VOCABULARY)
            writer.add_tokenizer_model("no_vocab")
            if self.experts:
                writer.add_expert_count(self.experts)
                writer.add_expert_used_count(self.top_k)
                if self.architecture == "qwen3moe":
                    writer.add_expert_feed_forward_length(self.ffn)
            spans, at = [], 0
            for number, (name, size, f32) in enumerate(self.tensors(depth)):
                content, count = self.content(name, f32), self.bytes_of(name, size, f32)
                kind = "F32" if f32 else FORMATS.get(content, FORMATS["bf16"])[0]
                kind = getattr(gguf.GGMLQuantizationType, kind)
                writer.add_tensor_info(name, size, numpy.dtype(numpy.float32), count, kind)
                spans.append((at, at + count, number, content))
                at += -(-count // writer.data_alignment) * writer.data_alignment
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            writer.close()
            text = file.read()
        text += bytes(-len(text) % gguf.GGUF_DEFAULT_ALIGNMENT)
        return text, [(len(text) + a, len(text) + b, number, kind) for a, b, number, kind in spans]


class Stream:
    """A FILE* whose bytes are made as they are read: a GGUF header, then tensors from one random tile at changing
    offsets, as fast as a copy. Layers differ in content and in address."""

    READ = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    SEEK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64), ctypes.c_int)

    class Functions(ctypes.Structure):
        pass

    Functions._fields_ = [("read", READ), ("write", ctypes.c_void_p), ("seek", SEEK), ("close", ctypes.c_void_p)]
    tiles = None

    def __init__(self, header, spans):
        if Stream.tiles is None:
            values = numpy.random.default_rng(1).standard_normal(TILE, dtype=numpy.float32) * 0.02
            short = lambda x: (x.view(numpy.uint32) >> 16).astype(numpy.uint16)
            Stream.tiles = {"bf16": short(values), "embedding": short(values * 400), "f32": values,
                            "ones": numpy.ones(TILE, dtype=numpy.float32)}
            for name, (_, _, block_bytes, scales) in list(FORMATS.items())[1:]:
                Stream.tiles[name] = Stream.blocks(block_bytes, scales)
        self.header, self.spans, self.starts = header, spans, [span[0] for span in spans]
        self.size, self.at = spans[-1][1], 0
        libc = ctypes.CDLL(None)
        libc.fopencookie.argtypes = [ctypes.c_void_p, ctypes.c_char_p, Stream.Functions]
        libc.fopencookie.restype = ctypes.c_void_p
        libc.fclose.argtypes = [ctypes.c_void_p]
        self.callbacks = Stream.Functions(Stream.READ(self.read), None, Stream.SEEK(self.seek), None)
        self.file, self.close = libc.fopencookie(None, b"rb", self.callbacks), lambda: libc.fclose(self.file)
        if not self.file:
            raise OSError("fopencookie")

    @staticmethod
    def blocks(block_bytes, scales):
        """A tile of blocks of random codes, one item each, so that a tensor begins with a whole one."""
        random = numpy.random.default_rng(3)
        bytes_ = random.integers(256, size=(2 * TILE // block_bytes, block_bytes), dtype=numpy.uint8)
        for at, scale in scales.items():
            values = (scale * random.uniform(0.5, 1.5, len(bytes_))).astype(numpy.float16)
            bytes_[:, at:at + 2] = values.view(numpy.uint8).reshape(-1, 2)
        if not scales:  # mxfp4: a power of two, 2^-7 or 2^-8
            bytes_[:, 0] = random.integers(119, 121, len(bytes_))
        return numpy.ascontiguousarray(bytes_).view(f"V{block_bytes}").reshape(-1)

    def read(self, _, buffer, size):
        begin, end = self.at, min(self.at + size, self.size)
        while self.at < end:
            here = buffer + self.at - begin
            if self.at < len(self.header):
                count = min(end, len(self.header)) - self.at
                ctypes.memmove(here, self.header[self.at:self.at + count], count)
            else:
                first, last, number, kind = self.spans[bisect.bisect_right(self.starts, self.at) - 1]
                if self.at >= last:  # between two tensors
                    following = bisect.bisect_right(self.starts, self.at)
                    count = min(end, self.starts[following] if following < len(self.starts) else end) - self.at
                    ctypes.memset(here, 0, count)
                else:
                    tile = Stream.tiles[kind]
                    inside = (self.at - first + number * 1009 * tile.itemsize) % tile.nbytes
                    count = min(end, last, self.at + tile.nbytes - inside) - self.at
                    ctypes.memmove(here, tile.ctypes.data + inside, count)
            self.at += count
        return end - begin

    def seek(self, _, offset, whence):
        self.at = offset[0] + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence]
        offset[0] = self.at
        return 0


class Model:
    def __init__(self, shape, depth):
        self.shape, self.depth = shape, depth
        stream = Stream(*shape.header(depth))
        parameters = llama_cpp.llama_model_default_params()
        parameters.load_mode = llama_cpp.LLAMA_LOAD_MODE_NONE
        parameters.n_gpu_layers = 0
        self.pointer = llama_cpp.llama_model_load_from_file_ptr(stream.file, parameters)
        stream.close()
        if not self.pointer:
            raise RuntimeError(f"llama.cpp does not load {shape.architecture} of {depth} layers")

    def free(self):
        llama_cpp.llama_model_free(self.pointer)


class Context:
    """A model with a cache for `batch` sequences of `length` tokens; not unified, so that none shares cells."""

    def __init__(self, model, batch, length, tokens, threads, flash_attention, kv_type):
        self.model, self.batch, self.tokens = model, batch, tokens
        p = llama_cpp.llama_context_default_params()
        p.n_ctx, p.n_seq_max, p.kv_unified = -(-length // 256) * 256 * batch, batch, False
        p.n_batch, p.n_ubatch = tokens, min(tokens, UBATCH)
        p.n_threads = p.n_threads_batch = threads
        p.flash_attn_type = (llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash_attention else
                             llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED)
        p.type_k = p.type_v = KV_TYPES[kv_type]
        p.no_perf = True
        self.pointer = llama_cpp.llama_init_from_model(model.pointer, p)
        if not self.pointer:
            raise RuntimeError("llama.cpp makes no such context")
        self.memory = llama_cpp.llama_get_memory(self.pointer)
        self.buffer = llama_cpp.llama_batch_init(tokens, 0, 1)

    def walk(self, tokens, first, logits):
        """Seconds of one llama_decode of `tokens` (a row for each sequence) at the positions from `first` on."""
        b, (rows, columns) = self.buffer, tokens.shape
        b.n_tokens = tokens.size
        for i, (row, column) in enumerate(itertools.product(range(rows), range(columns))):
            b.token[i], b.pos[i], b.n_seq_id[i], b.seq_id[i][0] = int(tokens[row, column]), first + column, 1, row
            b.logits[i] = logits == "all" or i == tokens.size - 1
        start = time.perf_counter()
        code = llama_cpp.llama_decode(self.pointer, b)
        llama_cpp.llama_synchronize(self.pointer)
        seconds = time.perf_counter() - start
        if code:
            raise RuntimeError(f"llama_decode: {code}")
        return seconds

    def finite(self):
        last = llama_cpp.llama_get_logits_ith(self.pointer, -1)
        values = numpy.ctypeslib.as_array(last, (VOCABULARY,))
        return bool(numpy.isfinite(values).all() and values.std() > 0)

    def state(self):
        data = (ctypes.c_uint8 * llama_cpp.llama_state_seq_get_size(self.pointer, 0))()
        if llama_cpp.llama_state_seq_get_data(self.pointer, data, len(data), 0) != len(data):
            raise RuntimeError("llama_state_seq_get_data")
        return data

    def fill(self, state):
        for sequence in range(self.batch):
            if llama_cpp.llama_state_seq_set_data(self.pointer, state, len(state), sequence) != len(state):
                raise RuntimeError("llama_state_seq_set_data")

    def cut(self, length):
        """Only the first `length` tokens of each sequence stay."""
        for sequence in range(self.batch):
            llama_cpp.llama_memory_seq_rm(self.memory, sequence, length, -1)

    def free(self):
        llama_cpp.llama_batch_free(self.buffer)
        llama_cpp.llama_free(self.pointer)


class Bench:
    def __init__(self, threads, memory_bytes):
        self.threads, self.memory, self.random = threads, memory_bytes, numpy.random.default_rng(2)
        self.key, self.models = None, []
        # What llama.cpp logs while a model loads is of use only when it does not.
        self.log = llama_cpp.llama_log_callback(self.hear)
        self.heard = []
        llama_cpp.llama_log_set(self.log, None)
        llama_cpp.llama_backend_init()
        base = ctypes.CDLL(str(next((Path(llama_cpp.__file__).parent / "lib").glob("libggml-base.*"))))
        base.ggml_commit.restype = base.ggml_version.restype = ctypes.c_char_p
        version = getattr(llama_cpp, "llama_version", lambda: b"unknown")()
        self.version = version.decode()
        self.build = (f"llama-cpp-python {llama_cpp.__version__}, ggml {base.ggml_version().decode()} "
                      f"{base.ggml_commit().decode()}")
        info = llama_cpp.llama_print_system_info().decode()
        self.features = [word.split("=")[0].strip() for word in info.split("|") if word.strip().endswith("= 1")]

    def hear(self, level, text, _):
        if level >= 3:  # warnings and errors
            self.heard = (self.heard + [text.decode(errors="replace").strip()])[-5:]

    def depths(self, shape, tokens, kv, decode):
        """(shallow, deep, reuse distance, note). A weight is read again after all other layers of both walks; the last
        layer of a prefill computes its experts for one token only."""
        touched = shape.touched_bytes(tokens) + kv
        partial = 1 if decode else 3
        wanted = int(min(MAX_LAYERS, max(4, -(-2 * cache_sizes.HERE_BYTES // touched) + partial)))
        held = shape.layer_bytes()[0] + kv
        limit = min(self.memory, max(0, available_bytes() - SPARE_BYTES))
        fits = int(limit // held)
        if fits < 3:
            raise MemoryError(f"three layers need {3 * held >> 20} MiB, {limit >> 20} MiB may be had")
        note = f"memory limit of {limit >> 20} MiB: {fits} of {wanted} layers" if fits < wanted else ""
        total = min(wanted, fits)
        return 1, total - 1, max(0, total - partial) * touched, note

    def models_for(self, path, shape, depths):
        if self.key != (path, shape.format, depths):
            for model in self.models:
                model.free()  # before the next ones are made
            self.models, self.key = [], None
            self.models, self.key = [Model(shape, depth) for depth in depths], (path, shape.format, depths)
        return self.models

    def cached(self, shape, depths, batch, context, flash_attention, kv_type):
        """State of one sequence of `context` tokens, for each depth; its context has as many sequences as the other."""
        out = []
        for depth in depths:
            model = Model(shape.narrow(), depth)
            narrow = Context(model, batch, context, context, self.threads, flash_attention, kv_type)
            narrow.walk(self.random.integers(VOCABULARY, size=(1, context)), 0, "last")
            out.append(narrow.state())
            narrow.free(), model.free()
        return out

    def read(self, models, shape, decode, batch, context, passes, flash_attention, kv_type):
        columns, contexts = 1 if decode else context, []
        try:
            for model in models:
                contexts.append(Context(model, batch, context + 1 if decode else context, batch * columns, self.threads,
                                        flash_attention, kv_type))
            if decode:
                states = self.cached(shape, [m.depth for m in models], batch, context, flash_attention, kv_type)
                for one, state in zip(contexts, states):
                    one.fill(state)
            samples, between, start = [], models[1].depth - models[0].depth, time.perf_counter()
            for turn in range(passes + 1):
                if turn > 3 and time.perf_counter() - start > READING_S:
                    break
                tokens, times = self.random.integers(VOCABULARY, size=(batch, columns)), []
                for one in contexts:
                    times.append(one.walk(tokens, context if decode else 0, "all" if decode else "last"))
                    if not one.finite():
                        raise ArithmeticError("an output is not finite, or all zero")
                    one.cut(context if decode else 0)
                if turn:  # the first one warms up
                    samples.append((times[1] - times[0]) / between)
            return samples
        finally:
            for one in contexts:
                one.free()

    def point(self, command):
        phase, batch, context = command["phase"], command["batch"], command["context"]
        if phase not in ("decode", "prefill"):
            raise ValueError(f"phase {phase}")
        decode, shape = phase == "decode", Shape(command["config"], command.get("format") or "bf16")
        tokens = batch * (1 if decode else context)
        kv = 2 * 2 * batch * shape.kv_heads * shape.head * context  # K and V in two bytes
        if self.key and self.key[:2] == (command["config"], shape.format):
            for model in self.models:
                model.free()
            self.models, self.key = [], None
        shallow, deep, reuse, note = self.depths(shape, tokens, kv, decode)
        models = self.models_for(command["config"], shape, (shallow, deep))
        readings, skipped = [], {}
        pick = lambda key, values: [command[key]] if command.get(key) is not None else values
        for flash in pick("flash_attention", [True, False]):
            for kind in pick("kv_type", list(KV_TYPES)):
                try:
                    samples = self.read(models, shape, decode, batch, context, command.get("passes", 5), flash, kind)
                except (RuntimeError, ArithmeticError) as error:
                    skipped[f"flash attention {'on' if flash else 'off'}, {kind}"] = str(error)
                    continue
                readings.append({"flash_attention": flash, "kv_type": kind, "samples_s": samples,
                                 "median_s": statistics.median(samples)})
        if not readings:
            raise RuntimeError(f"nothing ran: {skipped} {self.heard}")
        best, path = min(readings, key=lambda r: r["median_s"]), Path(command["config"])
        cold = reuse >= 2 * cache_sizes.HERE_BYTES
        pages = "huge pages asked for" if TUNABLE in os.environ.get("GLIBC_TUNABLES", "") else "default pages"
        return {
            "implementation": "llama.cpp", "version": self.version,
            "model": command.get("name") or (path.parent.name if path.stem == "config" else path.stem),
            "family": shape.family, "kind": "moe" if shape.experts else "dense",
            "phase": phase, "batch": batch, "context": context, "dtype": "bfloat16", "format": shape.format,
            "threads": self.threads,
            "layers": shallow + deep, "depths": [shallow, deep], "reuse_distance_bytes": int(reuse),
            "last_level_cache_bytes": cache_sizes.HERE_BYTES, "cold": cold, "note": note, "device": "cpu",
            "flash_attention": best["flash_attention"], "kv_type": best["kv_type"], "samples_s": best["samples_s"],
            "detail": f"{self.build}; flash attention {'on' if best['flash_attention'] else 'off'}, "
                      f"KV {best['kv_type']}, {pages}; difference of {deep} and {shallow} layers",
            "features": self.features, "readings": readings, "skipped": skipped,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--memory-gib", type=float, default=13.0, help="for weights and cache together")
    parser.add_argument("--once", action="store_true", help="measure --points of --config and end")
    parser.add_argument("--config", help="a config.json")
    parser.add_argument("--points", nargs="+", default=["decode:1:1024"], metavar="PHASE:BATCH:CONTEXT")
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--format", default="bf16", help=f"of {', '.join(FORMATS)}")
    arguments = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python would wait for llama.cpp; nothing is left behind either way
    bench = Bench(arguments.threads, int(arguments.memory_gib * 2**30))
    if arguments.once:
        if not arguments.config:
            parser.error("--once needs --config")
        split = [point.split(":") for point in arguments.points]
        lines = (json.dumps({"config": arguments.config, "phase": phase, "batch": int(batch), "context": int(context),
                             "passes": arguments.passes, "format": arguments.format})
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
