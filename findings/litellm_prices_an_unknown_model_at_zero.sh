#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     LiteLLM prices a model whose entry in its map has no price at 0 dollars, and so also a name without an entry
#           that looks like a known generation: "gpt-5-" or "claude-opus-4-5-" and anything, or any name at
#           fireworks_ai. No error and no None, while other unknown names raise, so that a 0 looks like an answer.
# Seen:     2026-11-28, litellm 1.110.2 with the map in its package, dollars for a million tokens in and one out:
#               vertex_ai/gemini-3-pro-preview               an entry, $4.00 and $18.00
#               gemini/gemini-3-pro-preview                  no entry, $0.00 and $0.00
#               gemini/gemini-3.1-pro-nonsense               no entry, $0.00 and $0.00
#               openai/gpt-5-nonsense                        no entry, $0.00 and $0.00
#               anthropic/claude-opus-4-5-nonsense           no entry, $0.00 and $0.00
#               fireworks_ai/nonsense                        no entry, $0.00 and $0.00
#               openai/gpt-nonsense                          no entry, ModelNotMappedError
#               gemini/gemini-nonsense                       no entry, ModelNotMappedError
#               heroku/claude-4-sonnet                       an entry, $0.00 and $0.00
#               gradient_ai/openai-gpt-4o                    an entry, $0.00 and $0.00
#               perplexity/google/gemini-3-pro-preview       an entry, $0.00 and $0.00
#               databricks/system.ai.kimi-k3                 an entry, $0.00 and $0.00
#               medlm-large                                  an entry, $0.00 and $0.00
#               81 of 3774 entries for chat or responses have no price of any kind
# Expected: an exception for all but the first, as for gpt-nonsense, whose "model isn't mapped yet" is what holds for
#           them. (medlm-large has a price, by the character, which does not apply to tokens; the first price is that of
#           long prompts.)
# Matters:  a report of cost by model shows the newest one, which nobody has entered yet, as the one that costs nothing;
#           a budget or a choice of the cheapest model believes it. (The install takes about 300 MB of disk.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet litellm==1.110.2 || exit 2

cat > "$work/recorded" <<'END'
vertex_ai/gemini-3-pro-preview               an entry, $4.00 and $18.00
gemini/gemini-3-pro-preview                  no entry, $0.00 and $0.00
gemini/gemini-3.1-pro-nonsense               no entry, $0.00 and $0.00
openai/gpt-5-nonsense                        no entry, $0.00 and $0.00
anthropic/claude-opus-4-5-nonsense           no entry, $0.00 and $0.00
fireworks_ai/nonsense                        no entry, $0.00 and $0.00
openai/gpt-nonsense                          no entry, ModelNotMappedError
gemini/gemini-nonsense                       no entry, ModelNotMappedError
heroku/claude-4-sonnet                       an entry, $0.00 and $0.00
gradient_ai/openai-gpt-4o                    an entry, $0.00 and $0.00
perplexity/google/gemini-3-pro-preview       an entry, $0.00 and $0.00
databricks/system.ai.kimi-k3                 an entry, $0.00 and $0.00
medlm-large                                  an entry, $0.00 and $0.00
81 of 3774 entries for chat or responses have no price of any kind
END

cat > "$work/look.py" <<'END'
import re

import litellm

litellm.suppress_debug_info = True


def look(name):
    try:
        prices = litellm.cost_per_token(name, prompt_tokens=10**6, completion_tokens=10**6)
        cost = "${:.2f} and ${:.2f}".format(*prices)
    except Exception as error:
        cost = type(error).__name__
    print(f"{name:<44} {'an entry' if name in litellm.model_cost else 'no entry'}, {cost}")


for name in ("vertex_ai/gemini-3-pro-preview", "gemini/gemini-3-pro-preview", "gemini/gemini-3.1-pro-nonsense",
             "openai/gpt-5-nonsense", "anthropic/claude-opus-4-5-nonsense", "fireworks_ai/nonsense",
             "openai/gpt-nonsense", "gemini/gemini-nonsense", "heroku/claude-4-sonnet", "gradient_ai/openai-gpt-4o",
             "perplexity/google/gemini-3-pro-preview", "databricks/system.ai.kimi-k3", "medlm-large"):
    look(name)
texts = {name: entry for name, entry in litellm.model_cost.items() if entry.get("mode") in ("chat", "responses")}
unpriced = [name for name, entry in texts.items() if not any(re.search("cost|pric", key) for key in entry)]
print(f"{len(unpriced)} of {len(texts)} entries for chat or responses have no price of any kind")
END
export LITELLM_LOCAL_MODEL_COST_MAP=True
"$work/venv/bin/python" "$work/look.py" "$work" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
