#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     GenZ-LLM-Analyzer gives each expert (tokens of one sequence) x top_k / experts rows, rounded down, and a
#           product without rows counts as weights that are not read. In a mixture of 8 with top 2, up to 3 tokens so
#           meet no expert at all, whatever the batch, and 4 read all of them. Its decode step reads the weights of
#           top_k experts at any batch.
# Seen:     2026-11-29, genz-llm 0.0.16, Mixtral-8x7B in bf16, 128 tokens cached, a chip of 989 TFLOP/s and 3350 GB/s,
#           drafted tokens accepted with probability 0.8:
#               decode, 1 sequence(s): 7.1 ms, 27 % of the weights read
#               decode, 64 sequence(s): 7.4 ms, 27 % of the weights read
#               the same step as a chunk of 1 sequence(s): 0.8 ms
#               the same step as a chunk of 3 sequence(s): 0.8 ms
#               the same step as a chunk of 4 sequence(s): 25.9 ms
#               prefill, 64 prompts of 3 tokens: 1.0 ms, 3.2 GFLOP a token
#               prefill, 64 prompts of 4 tokens: 26.5 ms, 25.8 GFLOP a token
#               64 sequences with Mistral-7B as draft, 2 tokens ahead: 13084 tokens/s
#               64 sequences with Mistral-7B as draft, 3 tokens ahead: 13419 tokens/s
#               64 sequences with Mistral-7B as draft, 4 tokens ahead: 4906 tokens/s
#               64 sequences without a draft: 8625 tokens/s
# Expected: 25.8 GFLOP a token at any length (12.9 B active parameters), all weights read at 64 sequences (26 ms, since
#           every expert is then met), 7 ms for a chunk of one, and a draft's gain that changes slowly with its length.
# Matters:  drafting three tokens looks 1.6 times as fast as none and four 1.8 times as slow, and the batch that makes a
#           mixture cheap is had for free: decode throughput at 64 is 3.5 times what the bytes of all experts allow.
set -euo pipefail
work=$(mktemp -d)
[ -e /tmp/genz ] || layers=/tmp/genz  # where GenZ writes its layers whatever TMPDIR says
trap 'rm -rf "$work" ${layers:+"$layers"}' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet numpy==2.4.6 pandas==3.1.1 matplotlib==3.11.2 seaborn==0.13.2 plotly==7.1.0 \
    paretoset==1.2.5 tqdm==4.70.1 ipython==9.18.1 || exit 2
"$work/venv/bin/pip" install --quiet --no-deps genz-llm==0.0.16 || exit 2

cat > "$work/recorded" <<'END'
decode, 1 sequence(s): 7.1 ms, 27 % of the weights read
decode, 64 sequence(s): 7.4 ms, 27 % of the weights read
the same step as a chunk of 1 sequence(s): 0.8 ms
the same step as a chunk of 3 sequence(s): 0.8 ms
the same step as a chunk of 4 sequence(s): 25.9 ms
prefill, 64 prompts of 3 tokens: 1.0 ms, 3.2 GFLOP a token
prefill, 64 prompts of 4 tokens: 26.5 ms, 25.8 GFLOP a token
64 sequences with Mistral-7B as draft, 2 tokens ahead: 13084 tokens/s
64 sequences with Mistral-7B as draft, 3 tokens ahead: 13419 tokens/s
64 sequences with Mistral-7B as draft, 4 tokens ahead: 4906 tokens/s
64 sequences without a draft: 8625 tokens/s
END

cat > "$work/look.py" <<'END'
from GenZ import chunked_moddeling, decode_moddeling, prefill_moddeling
from GenZ.LLM_inference.llm_spec_decode import spec_decode_modeling

CHIP = {"Flops": 989, "Memory_BW": 3350, "Memory_size": 400, "ICN": 450, "real_values": True}
MIXTURE = {"model": "mistralai/Mixtral-8x7B", "system_name": CHIP, "bits": "bf16"}
CACHED, BATCH = 128, 64


def decode(sequences):
    return decode_moddeling(batch_size=sequences, Bb=1, input_tokens=CACHED, **MIXTURE)


for sequences in (1, BATCH):
    step = decode(sequences)
    table = step["summary_table"].iloc[0]
    read = 100 * (1 - table["Unused Weights (MB)"] / table["Total Weights (MB)"])
    print(f"decode, {sequences} sequence(s): {step['Latency']:.1f} ms, {read:.0f} % of the weights read")
for sequences in (1, 3, 4):
    chunk = chunked_moddeling(prefill_kv_sizes=[], decode_kv_sizes=[CACHED] * sequences, **MIXTURE)
    print(f"the same step as a chunk of {sequences} sequence(s): {chunk['Latency']:.1f} ms")
for tokens in (3, 4):
    prompts = prefill_moddeling(batch_size=BATCH, input_tokens=tokens, **MIXTURE)
    work = prompts["summary_table"].iloc[0]["MACs (MFLOP)"] / 1e3 / (BATCH * tokens)
    print(f"prefill, {BATCH} prompts of {tokens} tokens: {prompts['Latency']:.1f} ms, {work:.1f} GFLOP a token")
for ahead in (2, 3, 4):
    drafted = spec_decode_modeling(draft_model="mistralai/Mistral-7B", batch_size=BATCH, input_tokens=CACHED,
                                   output_tokens=0, num_parallel_tokens=ahead, token_acceptance_rate=0.8, **MIXTURE)
    print(f"{BATCH} sequences with Mistral-7B as draft, {ahead} tokens ahead: {drafted['Throughput']:.0f} tokens/s")
print(f"{BATCH} sequences without a draft: {decode(BATCH)['Throughput']:.0f} tokens/s")
END
"$work/venv/bin/python" "$work/look.py" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
