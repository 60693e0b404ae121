#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     LLMeter's time per output token of a model that thinks divides the time of the visible tokens alone by the
#           count of all: its clock starts at the first token of the answer proper and ignores the streamed thinking,
#           while the usage field's completion_tokens, which it divides by, contains the thinking.
# Seen:     2026-11-29, llmeter 0.2.0 with openai 3.57.0, a local server that streams 100 tokens, one each 10 ms, the
#           first of them as reasoning_content, and says how many those were. Medians, the time per token relative to
#           the server's own clock:
#               0 of 100 are thinking: first token after 0.0 of the answer's time, time per output token 1.0 times
#               50 of 100 are thinking: first token after 0.5 of the answer's time, time per output token 0.5 times
#               90 of 100 are thinking: first token after 0.9 of the answer's time, time per output token 0.1 times
#               99 of 100 are thinking: first token after 1.0 of the answer's time, time per output token 0.0 times
# Expected: 1.0 times in all four: thinking in both the time and the count, or in neither (LLMeter keeps each answer's
#           num_tokens_output_reasoning).
# Matters:  the more a model thinks the faster it seems to decode, without bound: at 90 % the tokens per second on
#           LLMeter's display are eleven times the true ones. Its output_tps, over the whole run, is right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
# without the last four pins pip searches for minutes
"$work/venv/bin/pip" install --quiet llmeter==0.2.0 openai==3.57.0 httpx==0.28.1 s3fs==0.4.2 boto3==1.44.8 \
    universal-pathlib==0.3.10 fsspec==2026.1.0 || exit 2

cat > "$work/recorded" <<'END'
0 of 100 are thinking: first token after 0.0 of the answer's time, time per output token 1.0 times
50 of 100 are thinking: first token after 0.5 of the answer's time, time per output token 0.5 times
90 of 100 are thinking: first token after 0.9 of the answer's time, time per output token 0.1 times
99 of 100 are thinking: first token after 1.0 of the answer's time, time per output token 0.0 times
END

cat > "$work/look.py" <<'END'
import asyncio
import json
import statistics
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from llmeter.endpoints import OpenAICompletionStreamEndpoint
from llmeter.runner import Runner

TOKENS, INTERVAL_S, REQUESTS = 100, 0.01, 5
sent = {}


class Server(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def event(self, **fields):
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": self.model, **fields}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def do_POST(self):
        self.model = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["model"]
        thinking, times = int(self.model), []
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for token in range(TOKENS):
            time.sleep(INTERVAL_S)
            part = "reasoning_content" if token < thinking else "content"
            self.event(choices=[{"index": 0, "delta": {part: "word "}}])
            times.append(time.perf_counter())
        self.event(choices=[], usage={"prompt_tokens": 5, "completion_tokens": TOKENS, "total_tokens": TOKENS + 5,
                                      "completion_tokens_details": {"reasoning_tokens": thinking}})
        self.wfile.write(b"data: [DONE]\n\n")
        sent.setdefault(thinking, []).append((times[-1] - times[0]) / (TOKENS - 1))


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}/v1"
for thinking in (0, 50, 90, 99):
    endpoint = OpenAICompletionStreamEndpoint(model_id=str(thinking), api_key="none", base_url=address)
    runner = Runner(endpoint, output_path=f"{sys.argv[1]}/{thinking}")
    payload = endpoint.create_payload("How many?", max_tokens=TOKENS)
    stats = asyncio.run(runner.run(payload=payload, n_requests=REQUESTS, clients=1)).stats
    first = stats["time_to_first_token-p50"] / stats["time_to_last_token-p50"]
    each = stats["time_per_output_token-p50"] / statistics.median(sent[thinking])
    print(f"{thinking} of {TOKENS} are thinking: first token after {first:.1f} of the answer's time, "
          f"time per output token {each:.1f} times")
END
"$work/venv/bin/python" "$work/look.py" "$work" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
