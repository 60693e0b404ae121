#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     jax.lax.ragged_dot, the product for rows sorted by expert, multiplies every row with the weights of every
#           expert when compiled for the CPU, masks the rest, and keeps a copy of all rows for each expert (and more).
# Seen:     2026-11-28, jax and jaxlib 0.10.2, 64 rows, 512 x 512. Operations over 2 x rows x 512 x 512 as XLA counts
#           them in the compiled program, and its temporary memory over the bytes of the rows:
#               1 experts: operations 1.0 times, temporary memory 1.0 times
#               8 experts: operations 8.0 times, temporary memory 72.0 times
#               64 experts: operations 64.3 times, temporary memory 576.0 times
#               256 experts: operations 257.0 times, temporary memory 2304.0 times
# Expected: 1 times: each row meets one expert, and the op exists so that no other product is computed.
# Matters:  a JAX mixture of experts on a CPU has the cost of a dense model of all its parameters: it is no peer for a
#           CPU, and "operations" from cost_analysis() there say nothing about the model's active parameters.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6 || exit 2

cat > "$work/recorded" <<'END'
1 experts: operations 1.0 times, temporary memory 1.0 times
8 experts: operations 8.0 times, temporary memory 72.0 times
64 experts: operations 64.3 times, temporary memory 576.0 times
256 experts: operations 257.0 times, temporary memory 2304.0 times
END

cat > "$work/look.py" <<'END'
import jax
import jax.numpy as jnp

ROWS, INPUTS, OUTPUTS = 64, 512, 512
for experts in (1, 8, 64, 256):
    rows = jax.ShapeDtypeStruct((ROWS, INPUTS), jnp.float32)
    weights = jax.ShapeDtypeStruct((experts, INPUTS, OUTPUTS), jnp.float32)
    rows_of_expert = jax.ShapeDtypeStruct((experts,), jnp.int32)
    program = jax.jit(jax.lax.ragged_dot).lower(rows, weights, rows_of_expert).compile()
    operations = program.cost_analysis()["flops"] / (2 * ROWS * INPUTS * OUTPUTS)
    memory = program.memory_analysis().temp_size_in_bytes / (4 * ROWS * INPUTS)
    print(f"{experts} experts: operations {operations:.1f} times, temporary memory {memory:.1f} times")
END
JAX_PLATFORMS=cpu "$work/venv/bin/python" "$work/look.py" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
