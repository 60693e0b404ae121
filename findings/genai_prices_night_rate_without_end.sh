#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     genai-prices knows DeepSeek's cheaper hours (16:30 to 00:30 UTC) but not that they ended. DeepSeek's page of
#           prices said that from 2025-09-05, 16:00 UTC, both models cost 0.56 in and 1.68 out (0.07 for cached input),
#           at any hour. A call after that still gets the price that its hour had before.
# Seen:     2026-11-28, genai-prices 0.2.3 with the prices in its package, dollars for a million tokens in and out:
#               deepseek-chat     2025-09-01 12:00 UTC: 0.270 in, 1.10 out
#               deepseek-chat     2025-09-01 20:00 UTC: 0.135 in, 0.55 out
#               deepseek-chat     2025-09-10 12:00 UTC: 0.270 in, 1.10 out
#               deepseek-chat     2025-09-10 20:00 UTC: 0.135 in, 0.55 out
#               deepseek-chat     2026-11-28 12:00 UTC: 0.270 in, 1.10 out
#               deepseek-chat     2026-11-28 20:00 UTC: 0.135 in, 0.55 out
#               deepseek-reasoner 2025-09-01 12:00 UTC: 0.550 in, 2.19 out
#               deepseek-reasoner 2025-09-01 20:00 UTC: 0.135 in, 0.55 out
#               deepseek-reasoner 2025-09-10 12:00 UTC: 0.550 in, 2.19 out
#               deepseek-reasoner 2025-09-10 20:00 UTC: 0.135 in, 0.55 out
#               deepseek-reasoner 2026-11-28 12:00 UTC: 0.550 in, 2.19 out
#               deepseek-reasoner 2026-11-28 20:00 UTC: 0.135 in, 0.55 out
# Expected: 0.56 and 1.68 for both models at both hours of 2025-09-10, since the library takes the time of a call so
#           that it gets the price of its day, and has such dated prices for other models. (The 1st of September is
#           right.)
# Matters:  a million tokens each way is priced 3.3 times too low by night, and by day 1.6 times too low or 1.2 times
#           too high; and the two or four times between night and day look like a reason to wait for the night.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet genai-prices==0.2.3 || exit 2

cat > "$work/recorded" <<'END'
deepseek-chat     2025-09-01 12:00 UTC: 0.270 in, 1.10 out
deepseek-chat     2025-09-01 20:00 UTC: 0.135 in, 0.55 out
deepseek-chat     2025-09-10 12:00 UTC: 0.270 in, 1.10 out
deepseek-chat     2025-09-10 20:00 UTC: 0.135 in, 0.55 out
deepseek-chat     2026-11-28 12:00 UTC: 0.270 in, 1.10 out
deepseek-chat     2026-11-28 20:00 UTC: 0.135 in, 0.55 out
deepseek-reasoner 2025-09-01 12:00 UTC: 0.550 in, 2.19 out
deepseek-reasoner 2025-09-01 20:00 UTC: 0.135 in, 0.55 out
deepseek-reasoner 2025-09-10 12:00 UTC: 0.550 in, 2.19 out
deepseek-reasoner 2025-09-10 20:00 UTC: 0.135 in, 0.55 out
deepseek-reasoner 2026-11-28 12:00 UTC: 0.550 in, 2.19 out
deepseek-reasoner 2026-11-28 20:00 UTC: 0.135 in, 0.55 out
END

cat > "$work/look.py" <<'END'
from datetime import datetime, timezone

from genai_prices import Usage, calc_price

for model in ("deepseek-chat", "deepseek-reasoner"):
    for day in ((2025, 9, 1), (2025, 9, 10), (2026, 11, 28)):
        for hour in (12, 20):
            price = calc_price(Usage(input_tokens=10**6, output_tokens=10**6), model, provider_id="deepseek",
                               genai_request_timestamp=datetime(*day, hour, tzinfo=timezone.utc))
            print(f"{model:<17} {'-'.join(f'{part:02}' for part in day)} {hour}:00 UTC: "
                  f"{price.input_price:.3f} in, {price.output_price:.2f} out")
END
"$work/venv/bin/python" "$work/look.py" "$work" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
