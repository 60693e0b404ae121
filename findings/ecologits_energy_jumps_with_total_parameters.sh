#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     EcoLogits multiplies the energy of one GPU, which follows the active parameters, by the number of 80 GB GPUs
#           that hold all parameters in 16 bits, rounded up to a power of two, as if each of them did the whole work of
#           a token. A mixture of experts costs 16 times the dense model of its active parameters, six times a dense 70B
#           with twice as many, and 0.1 billion parameters more can double it.
# Seen:     2026-11-28, ecologits 0.11.3, 1000 tokens generated, no overhead of a data centre:
#               33.3B dense          0.100 Wh
#               33.4B dense          0.200 Wh
#               37B dense            0.207 Wh
#               671B, 37B active     3.316 Wh
#               70B dense            0.548 Wh
#               80B, 3B active       0.277 Wh
#               32.8B dense          0.099 Wh
# Expected: energy that follows the active parameters, with something on top for the memory that the others take.
# Matters:  read as the price of sparsity, these numbers say that it costs: 80B with 3B active takes 2.8 times the
#           energy of a dense 32.8B, where ten times fewer operations and bytes a token promise the contrary.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet ecologits==0.11.3 || exit 2

cat > "$work/recorded" <<'END'
33.3B dense          0.100 Wh
33.4B dense          0.200 Wh
37B dense            0.207 Wh
671B, 37B active     3.316 Wh
70B dense            0.548 Wh
80B, 3B active       0.277 Wh
32.8B dense          0.099 Wh
END

cat > "$work/look.py" <<'END'
from ecologits.impacts.llm import compute_llm_impacts

for total, active in ((33.3, 33.3), (33.4, 33.4), (37, 37), (671, 37), (70, 70), (80, 3), (32.8, 32.8)):
    # The mix's factors do not touch the energy. A latency longer than its own estimate is not used.
    impacts = compute_llm_impacts(active, total, 1000, if_electricity_mix_adpe=1e-7, if_electricity_mix_pe=10.0,
                                  if_electricity_mix_gwp=0.5, if_electricity_mix_wue=1.0, datacenter_pue=1.0,
                                  datacenter_wue=1.0, request_latency=1e9)
    name = f"{total}B dense" if total == active else f"{total}B, {active}B active"
    print(f"{name:<20} {1000 * impacts.energy.value:.3f} Wh")
END
"$work/venv/bin/python" "$work/look.py" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
