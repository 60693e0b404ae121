#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     genai-bench's warm-up and cool-down ratios leave the first and the last requests out of the sum of tokens,
#           but divide it by the duration of the whole run. Its rate of tokens falls with the ratios, that of requests
#           (which counts all) does not. And its error rate is 0 however many fail: it divides before it counts them.
# Seen:     2026-11-28, genai-bench 0.0.5, 100 requests of 100 tokens each in 100 s, as even as can be:
#               left out 0 and 0, 0 failing: 100 tokens/s, 1.0 requests/s, 0 errors of 100, error rate 0.0
#               left out 0.1 and 0.1, 0 failing: 80 tokens/s, 1.0 requests/s, 0 errors of 100, error rate 0.0
#               left out 0.3 and 0.3, 0 failing: 40 tokens/s, 1.0 requests/s, 0 errors of 100, error rate 0.0
#               left out 0 and 0, 50 failing: 50 tokens/s, 0.5 requests/s, 50 errors of 100, error rate 0.0
# Expected: 100 tokens a second and 1 request a second in the first three lines, and an error rate of 0.5 in the last.
# Matters:  the ratios are there to take the ends, where the load is not full, out of the rate. At 0.3 and 0.3 a server
#           is reported at 40 % of its throughput, and its cost a token at 2.5 times; and half of the requests failing
#           goes unseen, with its warning (from an error rate of 0.5).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
# Without most of its dependencies, which are large: its statistics need only these.
{ "$work/venv/bin/pip" install --quiet pydantic==2.14.4 numpy==2.4.6 gevent==26.9.0 rich==15.0.0 &&
  "$work/venv/bin/pip" install --quiet --no-deps genai-bench==0.0.5; } || exit 2

cat > "$work/recorded" <<'END'
left out 0 and 0, 0 failing: 100 tokens/s, 1.0 requests/s, 0 errors of 100, error rate 0.0
left out 0.1 and 0.1, 0 failing: 80 tokens/s, 1.0 requests/s, 0 errors of 100, error rate 0.0
left out 0.3 and 0.3, 0 failing: 40 tokens/s, 1.0 requests/s, 0 errors of 100, error rate 0.0
left out 0 and 0, 50 failing: 50 tokens/s, 0.5 requests/s, 50 errors of 100, error rate 0.0
END

cat > "$work/look.py" <<'END'
from genai_bench.metrics.aggregated_metrics_collector import AggregatedMetricsCollector
from genai_bench.metrics.metrics import RequestLevelMetrics

REQUESTS, SECONDS, TOKENS = 100, 100.0, 100
FIRST_S, WHOLE_S = 0.1, 1.0

for warmup, cooldown, failing in ((None, None, 0), (0.1, 0.1, 0), (0.3, 0.3, 0), (None, None, 50)):
    collector = AggregatedMetricsCollector()
    for number in range(REQUESTS):
        if number % 2 == 1 and failing:
            metrics = RequestLevelMetrics(error_code=503, error_message="busy")
        else:
            rate = (TOKENS - 1) / (WHOLE_S - FIRST_S)
            metrics = RequestLevelMetrics(
                num_input_tokens=1000, num_output_tokens=TOKENS, num_reasoning_tokens=0, total_tokens=1000 + TOKENS,
                ttft=FIRST_S, e2e_latency=WHOLE_S, output_latency=WHOLE_S - FIRST_S, tpot=1 / rate,
                output_inference_speed=rate, output_throughput=rate, input_throughput=1000 / FIRST_S)
        collector.add_single_request_metrics(metrics)
    collector.aggregate_metrics_data(0.0, SECONDS, warmup, cooldown)
    seen = collector.aggregated_metrics
    print(f"left out {warmup or 0} and {cooldown or 0}, {failing} failing: "
          f"{seen.mean_output_throughput_tokens_per_s:.0f} tokens/s, {seen.requests_per_second:.1f} requests/s, "
          f"{seen.num_error_requests} errors of {seen.num_requests}, error rate {seen.error_rate:.1f}")
END
"$work/venv/bin/python" "$work/look.py" "$work" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
