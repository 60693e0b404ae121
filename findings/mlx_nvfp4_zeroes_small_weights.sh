#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     mlx's nvfp4 without its optional global_scale stores each group's scale, maximum / 6, in e4m3, which ends at
#           2^-9. Weights of a standard deviation of 0.006 lose more than in mxfp4 (which is a quarter of a bit
#           smaller), those of 0.002 become zeros, all without a warning. And the factor that mends it is the tensor's
#           largest absolute value: with the factor of ModelOpt's checkpoints (largest / 2688, weight_scale_2) or of
#           compressed-tensors' (2688 / largest, weight_global_scale) in its place nearly everything is lost, too.
# Seen:     2026-11-28, mlx 0.32.4 (CPU). Relative error (2-norm), and the share of zeros in parentheses:
#               std 1     mxfp4 0.12 (11%)  nvfp4 0.10 (7%)  with largest 0.10 (7%)
#               std 0.02  mxfp4 0.12 (11%)  nvfp4 0.10 (7%)  with largest 0.10 (7%)
#               std 0.006 mxfp4 0.12 (12%)  nvfp4 0.13 (7%)  with largest 0.10 (7%)
#               std 0.002 mxfp4 0.12 (11%)  nvfp4 0.96 (95%)  with largest 0.10 (7%)
#               std 0.001 mxfp4 0.12 (11%)  nvfp4 1.00 (100%)  with largest 0.10 (7%)
#           and at 0.02 with ModelOpt's factor 1.00, with compressed-tensors' 0.97.
# Expected: 0.095 to 0.11 at any size of weights, as from ModelOpt and compressed-tensors, which always store a factor.
# Matters:  nvfp4 is compared with mxfp4 by bits and error. Here the answer turns around with the size of the weights;
#           DeepSeek-V3 initialises with 0.006. A matrix of zeros is also a wrong subject for measuring time or power.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'mlx[cpu]==0.32.4' numpy==2.4.6 || exit 2

cat > "$work/recorded" <<'END'
std 1     mxfp4 0.12 (11%)  nvfp4 0.10 (7%)  with largest 0.10 (7%)
std 0.02  mxfp4 0.12 (11%)  nvfp4 0.10 (7%)  with largest 0.10 (7%)
std 0.006 mxfp4 0.12 (12%)  nvfp4 0.13 (7%)  with largest 0.10 (7%)
std 0.002 mxfp4 0.12 (11%)  nvfp4 0.96 (95%)  with largest 0.10 (7%)
std 0.001 mxfp4 0.12 (11%)  nvfp4 1.00 (100%)  with largest 0.10 (7%)
std 0.02 with the factor of ModelOpt 1.00, of compressed-tensors 0.97
END

cat > "$work/look.py" <<'END'
import mlx.core as mx
import numpy as np

gaussian = np.random.default_rng(0).standard_normal((256, 1024)).astype(np.float32)


def error_and_zeros(weights, mode, **factor):
    stored = mx.quantize(mx.array(weights), mode=mode, **factor)
    read = np.array(mx.dequantize(*stored, mode=mode, dtype=mx.float32, **factor))
    return np.linalg.norm(read - weights) / np.linalg.norm(weights), np.mean(read == 0)


def shown(pair):
    return f"{pair[0]:.2f} ({pair[1]:.0%})"


for deviation in (1, 0.02, 0.006, 0.002, 0.001):
    weights = gaussian * np.float32(deviation)
    largest = mx.array(np.abs(weights).max())
    print(f"std {deviation:<5} mxfp4 {shown(error_and_zeros(weights, 'mxfp4'))}  "
          f"nvfp4 {shown(error_and_zeros(weights, 'nvfp4'))}  "
          f"with largest {shown(error_and_zeros(weights, 'nvfp4', global_scale=largest))}")
weights = gaussian * np.float32(0.02)
largest = np.abs(weights).max()
others = [error_and_zeros(weights, "nvfp4", global_scale=mx.array(factor, mx.float32))[0]
          for factor in (largest / 2688, 2688 / largest)]
print(f"std 0.02 with the factor of ModelOpt {others[0]:.2f}, of compressed-tensors {others[1]:.2f}")
END
"$work/venv/bin/python" "$work/look.py" > "$work/seen" 2>&1 || true
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
