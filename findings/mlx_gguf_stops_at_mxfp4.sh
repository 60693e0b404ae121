#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     mlx's reader of GGUF files stops at the first tensor in MXFP4 (or TQ1_0, TQ2_0) and returns what came before
#           it as if that were the whole file: no error, no warning. A type like Q5_0, which it cannot decode either,
#           raises. A file whose first tensor is in MXFP4 gives an empty dictionary.
# Seen:     2026-11-28, mlx 0.32.4 (CPU), gguf 0.19.0. Of 1,003,520 bytes in 6 tensors mlx returns 131,072 in 1:
#               file F16 MXFP4 MXFP4 F32 F32 Q8_0: gguf 6 tensors of 1003520 bytes, mlx 1 of 131072
#               file MXFP4 F32: gguf 2 tensors of 296960 bytes, mlx 0 of 0
#               file F16 TQ2_0 F16: gguf 3 tensors of 279040 bytes, mlx 1 of 131072
#               file F16 Q5_0 F16: gguf 3 tensors of 307200 bytes, mlx raises RuntimeError
# Expected: that an unknown type raises, as the other undecodable types do, or that its tensor alone is missing.
# Matters:  gpt-oss is published as GGUF with experts in MXFP4. Bytes, parameters or layers counted from what mlx.load
#           returns are a fraction of the model, and a count that is too small looks like a cheap model.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'mlx[cpu]==0.32.4' gguf==0.19.0 numpy==2.4.6 || exit 2

cat > "$work/recorded" <<'END'
file F16 MXFP4 MXFP4 F32 F32 Q8_0: gguf 6 tensors of 1003520 bytes, mlx 1 of 131072
file MXFP4 F32: gguf 2 tensors of 296960 bytes, mlx 0 of 0
file F16 TQ2_0 F16: gguf 3 tensors of 279040 bytes, mlx 1 of 131072
file F16 Q5_0 F16: gguf 3 tensors of 307200 bytes, mlx raises RuntimeError
END

cat > "$work/look.py" <<'END'
import sys

import gguf
import mlx.core as mx
import numpy as np

ROWS, COLUMNS, EXPERTS = 256, 256, 4
random = np.random.default_rng(1)
for types in (("F16", "MXFP4", "MXFP4", "F32", "F32", "Q8_0"), ("MXFP4", "F32"), ("F16", "TQ2_0", "F16"),
              ("F16", "Q5_0", "F16")):
    path = f"{sys.argv[1]}/{'_'.join(types)}.gguf"
    writer = gguf.GGUFWriter(path, "gpt-oss")
    writer.add_block_count(1)
    for number, name in enumerate(types):
        shape = (EXPERTS, ROWS, COLUMNS) if name == "MXFP4" and len(types) > 2 else (ROWS, COLUMNS)
        kind = gguf.GGMLQuantizationType[name]
        values = random.standard_normal(shape).astype(np.float32)
        writer.add_tensor(f"blk.0.part_{number}.weight", gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    there = gguf.GGUFReader(path).tensors
    text = f"file {' '.join(types)}: gguf {len(there)} tensors of {sum(t.n_bytes for t in there)} bytes, mlx "
    try:
        read = mx.load(path)
        print(text + f"{len(read)} of {sum(a.nbytes for a in read.values())}")
    except RuntimeError as error:
        print(text + f"raises {type(error).__name__}")
END
"$work/venv/bin/python" "$work/look.py" "$work" > "$work/seen" 2>&1 || true
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
