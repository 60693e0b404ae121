#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What:     in mistral-common's prompt formats v2 and v3 the system prompt and the tools move to the last user message
#           at every turn; v7 keeps the system prompt in front but still moves the tools. The prompt of one turn is then
#           no prefix of the next one's, though the conversation only grew, and a prefix cache never holds what moved.
# Seen:     2026-11-28, mistral-common 1.13.1. A conversation of 10 turns with a system prompt of 20 sentences; "new" is
#           what a perfect prefix cache has to compute over all turns, of the tokens of all prompts (v1 has no tools):
#               v1        no tools: tenth prompt 358 tokens, 336 shared with the ninth; 358 of 2590 new
#               v2        no tools: tenth prompt 308 tokens, 138 shared with the ninth; 1685 of 2315 new
#               v3        no tools: tenth prompt 308 tokens, 138 shared with the ninth; 1685 of 2315 new
#               v3 tekken no tools: tenth prompt 307 tokens, 138 shared with the ninth; 1675 of 2305 new
#               v7        no tools: tenth prompt 308 tokens, 291 shared with the ninth; 308 of 2315 new
#               v7        a tool: tenth prompt 361 tokens, 280 shared with the ninth; 937 of 2845 new
# Expected: that all of them append, as v1 does: at the latest v7, which mends this for the system prompt.
# Matters:  the cost of a conversation with a prefix cache is estimated from new tokens alone. The same text costs 308
#           of them or 1685, depending on the version of the format and on whether a tool is offered.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet mistral-common==1.13.1 sentencepiece==0.2.3 || exit 2

cat > "$work/recorded" <<'END'
v1        no tools: tenth prompt 358 tokens, 336 shared with the ninth; 358 of 2590 new
v2        no tools: tenth prompt 308 tokens, 138 shared with the ninth; 1685 of 2315 new
v3        no tools: tenth prompt 308 tokens, 138 shared with the ninth; 1685 of 2315 new
v3 tekken no tools: tenth prompt 307 tokens, 138 shared with the ninth; 1675 of 2305 new
v7        no tools: tenth prompt 308 tokens, 291 shared with the ninth; 308 of 2315 new
v7        a tool: tenth prompt 361 tokens, 280 shared with the ninth; 937 of 2845 new
END

cat > "$work/look.py" <<'END'
from mistral_common.protocol.instruct.messages import AssistantMessage, SystemMessage, UserMessage
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.tool_calls import Function, Tool
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

TURNS = 10
town = {"type": "object", "properties": {"town": {"type": "string"}}}
tool = Tool(function=Function(name="weather", description="weather of a town", parameters=town))


def prompt(tokenizer, turn, tools):
    messages = [SystemMessage(content="You answer in one short sentence. " * 20)]
    for number in range(turn):
        messages.append(UserMessage(content=f"Question number {number} about heat and rain?"))
        messages.append(AssistantMessage(content=f"Answer number {number}."))
    messages.append(UserMessage(content=f"Question number {turn} about heat and rain?"))
    return tokenizer.encode_chat_completion(ChatCompletionRequest(messages=messages, tools=tools)).tokens


def shared(one, other):
    pairs = list(zip(one, other))
    return next((place for place, (a, b) in enumerate(pairs) if a != b), len(pairs))


for name, tokenizer, tools in (("v1", MistralTokenizer.v1(), None), ("v2", MistralTokenizer.v2(), None),
                               ("v3", MistralTokenizer.v3(), None),
                               ("v3 tekken", MistralTokenizer.v3(is_tekken=True), None),
                               ("v7", MistralTokenizer.v7(), None), ("v7", MistralTokenizer.v7(), [tool])):
    prompts = [prompt(tokenizer, turn, tools) for turn in range(TURNS)]
    new = len(prompts[0]) + sum(len(later) - shared(earlier, later) for earlier, later in zip(prompts, prompts[1:]))
    print(f"{name:<9} {'a tool' if tools else 'no tools'}: tenth prompt {len(prompts[-1])} tokens, "
          f"{shared(prompts[-2], prompts[-1])} shared with the ninth; {new} of {sum(map(len, prompts))} new")
END
"$work/venv/bin/python" "$work/look.py" > "$work/seen" 2> "$work/log" || cat "$work/log"
cat "$work/seen"
diff "$work/recorded" "$work/seen" || { echo "the behaviour is another one than was recorded"; exit 1; }
