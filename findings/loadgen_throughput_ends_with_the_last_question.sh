#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     MLPerf LoadGen writes three rates of tokens into its detailed log. result_token_throughput divides by the
#           sum of all latencies in nanoseconds, and result_token_throughput_with_loadgen_overhead by the time until the
#           last query was issued, though its answer and a queue of others come later. Only the third,
#           result_completed_tokens_per_second, is tokens over time.
# Seen:     2026-11-28, mlcommons-loadgen 6.0.17, Server scenario, 40 queries that arrive at about 100 a second, served
#           one after the other in 50 ms each with 11 tokens, so that most of them wait. Relative to tokens over the
#           time from the first query to the last answer by the program under test's own clock:
#               40 answers, errors 0
#               result_completed_tokens_per_second             between 0.9 and 1.1 times
#               result_token_throughput_with_loadgen_overhead  more than 3 times
#               result_token_throughput                        below 1e-9 times
# Expected: that all three are nearly the same, "with overhead" the lower one by what LoadGen itself takes.
# Matters:  a server too slow for its load, just where throughput is the question, shows the rate of its questions as
#           the rate of its answers. The value with the plain name is too small by ten digits, which at least is seen.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet mlcommons-loadgen==6.0.17 || exit 2

cat > "$work/recorded" <<'END'
40 answers, errors 0
result_completed_tokens_per_second             between 0.9 and 1.1 times
result_token_throughput_with_loadgen_overhead  more than 3 times
result_token_throughput                        below 1e-9 times
END

cat > "$work/look.py" <<'END'
import array
import json
import queue
import sys
import threading
import time

import mlperf_loadgen as loadgen

QUERIES, TOKENS, FIRST_S, REST_S = 40, 11, 0.01, 0.04
waiting, issued, answered = queue.Queue(), [], []


def response(sample, tokens):
    data = array.array("B", bytes(4 * tokens))
    return data, loadgen.QuerySampleResponse(sample.id, *data.buffer_info(), tokens)


def serve():
    while (sample := waiting.get()) is not None:
        time.sleep(FIRST_S)
        data, first = response(sample, 1)
        loadgen.FirstTokenComplete([first])
        time.sleep(REST_S)
        data, whole = response(sample, TOKENS)
        answered.append(time.monotonic())
        loadgen.QuerySamplesComplete([whole])


def issue(samples):
    for sample in samples:
        issued.append(time.monotonic())
        waiting.put(sample)


settings = loadgen.TestSettings()
settings.scenario, settings.mode = loadgen.TestScenario.Server, loadgen.TestMode.PerformanceOnly
settings.server_target_qps, settings.min_query_count, settings.min_duration_ms = 100, QUERIES, 0
settings.use_token_latencies = True
settings.ttft_latency = settings.tpot_latency = settings.server_target_latency_ns = 10**10
output, log = loadgen.LogOutputSettings(), loadgen.LogSettings()
output.outdir, output.copy_summary_to_stdout, log.enable_trace = sys.argv[1], False, False
log.log_output = output
server = threading.Thread(target=serve)
server.start()
sut = loadgen.ConstructSUT(issue, lambda: None)
library = loadgen.ConstructQSL(QUERIES, QUERIES, lambda samples: None, lambda samples: None)
loadgen.StartTestWithLogSettings(sut, library, settings, log)
loadgen.DestroyQSL(library)
loadgen.DestroySUT(sut)
waiting.put(None)
server.join()

right = TOKENS * len(answered) / (answered[-1] - issued[0])
with open(sys.argv[1] + "/mlperf_log_detail.txt") as lines:
    values = {entry["key"]: entry["value"] for entry in (json.loads(line.split(" ", 1)[1]) for line in lines)}
print(f"{len(answered)} answers, errors {values['num_errors']}")
for key in ("result_completed_tokens_per_second", "result_token_throughput_with_loadgen_overhead",
            "result_token_throughput"):
    ratio = values[key] / right
    size = ("between 0.9 and 1.1" if 0.9 < ratio < 1.1 else "more than 3" if ratio > 3 else
            "below 1e-9" if ratio < 1e-9 else ratio)
    print(f"{key:<46} {size} times")
END
"$work/venv/bin/python" "$work/look.py" "$work" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
