#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     guidellm's Poisson load draws the delays between requests in up to 10 worker processes (its default), each
#           with its own generator from the same seed, and adds them to one shared clock. So every delay comes ten
#           times: arrivals in clumps ten times as strong as Poisson's, and a rate as far off as 50 draws allow.
# Seen:     2026-11-28, guidellm 0.8.1. 500 arrivals at 100/s from its strategy, the processes asking in turns.
#           Dispersion is variance over mean of the arrivals in half a second, 1 for a Poisson process:
#               10 processes: 50 different delays among 500, dispersion 10.1, rate 122/s
#               1 process: 500 different delays among 500, dispersion 1.2, rate 97/s
#           Its whole scheduler with a backend that answers after 10 ms, run once: 53 different delays among 499,
#           dispersion 10.3, 122/s; on a machine that was busy otherwise 126 different ones.
# Expected: independent delays, and a dispersion near 1 whatever the number of processes.
# Matters:  waiting times and the tail of the time to first token come from clumps. The same server looks worse under
#           this load than under Poisson's, by an amount that depends on the benchmark's own number of processes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
# Without most of its dependencies, which would fetch torch: the scheduler needs only these.
{ "$work/venv/bin/pip" install --quiet pydantic==2.14.4 pydantic-settings==2.16.3 loguru==0.7.3 msgpack==1.2.4 \
      culsans==0.10.0 uvloop==0.23.0 &&
  "$work/venv/bin/pip" install --quiet --no-deps guidellm==0.8.1; } || exit 2

cat > "$work/recorded" <<'END'
10 processes: 50 different delays among 500, dispersion 10.1, rate 122/s
1 process: 500 different delays among 500, dispersion 1.2, rate 97/s
END

cat > "$work/look.py" <<'END'
import asyncio
import multiprocessing

from guidellm.scheduler import AsyncPoissonStrategy

ARRIVALS, RATE, WINDOW_S = 500, 100.0, 0.5


def answer(strategy, index, pipe):
    async def loop():
        while pipe.recv():
            pipe.send(await strategy.next_request_time(index))

    asyncio.run(loop())


def arrivals(processes):
    context = multiprocessing.get_context("spawn")
    strategy = AsyncPoissonStrategy(rate=RATE)
    strategy.init_processes_timings(processes, 512, context)
    pipes = []
    for index in range(processes):
        ours, theirs = context.Pipe()
        context.Process(target=answer, args=(strategy, index, theirs)).start()
        pipes.append(ours)
    strategy.init_processes_start(0.0)
    times = []
    for number in range(ARRIVALS):
        pipe = pipes[number % processes]
        pipe.send(True)
        times.append(pipe.recv())
    for pipe in pipes:
        pipe.send(False)
    return times


if __name__ == "__main__":
    for processes in (10, 1):
        times = arrivals(processes)
        delays = {round(later - earlier, 9) for earlier, later in zip([0.0] + times, times)}
        counts = [sum(n <= t / WINDOW_S < n + 1 for t in times) for n in range(int(times[-1] / WINDOW_S))]
        mean = sum(counts) / len(counts)
        dispersion = sum((count - mean) ** 2 for count in counts) / len(counts) / mean
        print(f"{processes} process{'es' if processes > 1 else ''}: {len(delays)} different delays among {len(times)}, "
              f"dispersion {dispersion:.1f}, rate {len(times) / times[-1]:.0f}/s")
END
"$work/venv/bin/python" "$work/look.py" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
