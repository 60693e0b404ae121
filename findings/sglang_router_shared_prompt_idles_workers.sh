#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     SGLang's router with cache_aware (its default) sends a request to the worker that has seen the longest
#           common beginning, once that is more than 0.3 of its text. If all requests share a long system prompt, that
#           is always one and the same worker, until (by the options' defaults) it has 64 more requests in flight than
#           the idlest. Below that all others idle.
# Seen:     2026-11-28, sglang-router 0.3.2, 8 workers that take 0.5 s a request, 96 requests of 2000 characters to
#           /generate, 48 at a time:
#               cache_aware 0.0 of the text shared: 8 of 8 workers used, fewer than 16 requests at once in one
#               cache_aware 0.2 of the text shared: 8 of 8 workers used, fewer than 16 requests at once in one
#               cache_aware 0.4 of the text shared: 1 of 8 workers used, more than 40 requests at once in one
#               cache_aware 0.8 of the text shared: 1 of 8 workers used, more than 40 requests at once in one
#               round_robin 0.8 of the text shared: 8 of 8 workers used, fewer than 16 requests at once in one
# Expected: that the load spreads as without a shared beginning: after one request each, every worker has the system
#           prompt in its cache, and the rest of each text is new everywhere.
# Matters:  a benchmark of 8 workers with a system prompt and up to 64 users measures one worker with 48 in its batch
#           and seven that take power and rent: the cost of a token is up to 8 times what the same machines can do, and
#           adding workers changes nothing. Whether 20 or 40 % of the text is shared makes the difference. (The install
#           fetches about 40 MB; the workers are threads of the script that answer over HTTP on this machine.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet sglang-router==0.3.2 || exit 2

cat > "$work/recorded" <<'END'
cache_aware 0.0 of the text shared: 8 of 8 workers used, fewer than 16 requests at once in one
cache_aware 0.2 of the text shared: 8 of 8 workers used, fewer than 16 requests at once in one
cache_aware 0.4 of the text shared: 1 of 8 workers used, more than 40 requests at once in one
cache_aware 0.8 of the text shared: 1 of 8 workers used, more than 40 requests at once in one
round_robin 0.8 of the text shared: 8 of 8 workers used, fewer than 16 requests at once in one
END

cat > "$work/look.py" <<'END'
import collections
import http.server
import json
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

WORKERS, REQUESTS, AT_A_TIME, CHARACTERS, SERVICE_S = 8, 96, 48, 2000, 0.5
served, running, most = collections.Counter(), collections.Counter(), collections.Counter()
lock = threading.Lock()


class Worker(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, content):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.answer(b'{"status": "ok"}')

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        port = self.server.server_port
        with lock:
            served[port] += 1
            running[port] += 1
            most[port] = max(most[port], running[port])
        time.sleep(SERVICE_S)
        with lock:
            running[port] -= 1
        self.answer(b'{"text": "", "meta_info": {}}')

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 2 * AT_A_TIME


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def look(policy, shares):
    servers = [Server(("127.0.0.1", 0), Worker) for _ in range(WORKERS)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    port = free_port()
    router = subprocess.Popen(
        [sys.executable, "-m", "sglang_router.launch_router", "--policy", policy, "--host", "127.0.0.1", "--port",
         str(port), "--prometheus-port", str(free_port()), "--worker-urls",
         *(f"http://127.0.0.1:{server.server_port}" for server in servers)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(text):
        body = json.dumps({"text": text, "sampling_params": {}}).encode()
        url, kind = f"http://127.0.0.1:{port}/generate", {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, kind), timeout=60).read()

    try:
        for _ in range(100):  # until the router and all its workers are there
            try:
                with ThreadPoolExecutor(AT_A_TIME) as pool:
                    list(pool.map(ask, ("".join(letters.choices("abcdefgh ", k=40)) for _ in range(AT_A_TIME))))
                if len(served) == WORKERS:
                    break
            except urllib.error.URLError:
                time.sleep(0.3)
        for share in shares:
            common = "".join(letters.choices("abcdefgh ", k=int(share * CHARACTERS)))
            texts = [common + "".join(letters.choices("abcdefgh ", k=CHARACTERS - len(common)))
                     for _ in range(REQUESTS)]
            served.clear()
            most.clear()
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                list(pool.map(ask, texts))
            at_once = max(most.values())
            size = "more than 40" if at_once > 40 else "fewer than 16" if at_once < 16 else at_once
            print(f"{policy:<11} {share:.1f} of the text shared: {len(served)} of {WORKERS} workers used, "
                  f"{size} requests at once in one")
    finally:
        router.terminate()
        router.wait()
    served.clear()


letters = random.Random(0)
look("cache_aware", (0.0, 0.2, 0.4, 0.8))
look("round_robin", (0.8,))
END
"$work/venv/bin/python" "$work/look.py" "$work" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
