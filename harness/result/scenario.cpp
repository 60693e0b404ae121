// SPDX-License-Identifier: Apache-2.0
#include "harness/result/scenario.h"

#include <fmt/format.h>

namespace layercost {
namespace {

void take(ScenarioRecord& into, const ScenarioRecord& from, Member member) {
  with_member(member, [&](const char*, const auto at) { into.*at = from.*at; });
}

}  // namespace

ScenarioRecord without(ScenarioRecord scenario, std::initializer_list<Member> free) {
  for (const Member member : free) take(scenario, {}, member);
  return scenario;
}

bool same_except(const ScenarioRecord& a, const ScenarioRecord& b, std::initializer_list<Member> free) {
  return without(a, free) == without(b, free);
}

bool same_head(const ScenarioRecord& a, const ScenarioRecord& b) {
  return same_except(a, b, {Member::phase, Member::context, Member::new_tokens, Member::kv_type, Member::routing});
}

bool same_task(const ScenarioRecord& a, const ScenarioRecord& b) {
  return same_except(a, b, {Member::model, Member::routing});
}

bool matches(const ScenarioRecord& partial, const ScenarioRecord& whole) {
  ScenarioRecord filled = partial;
  if (partial.model.empty()) take(filled, whole, Member::model);
  if (partial.phase.empty()) take(filled, whole, Member::phase);
  if (partial.batch == 0) take(filled, whole, Member::batch);
  if (partial.new_tokens == 0) take(filled, whole, Member::new_tokens);
  if (partial.weight_type.empty()) take(filled, whole, Member::weight_type);
  if (partial.activation_type.empty()) take(filled, whole, Member::activation_type);
  if (partial.kv_type.empty()) take(filled, whole, Member::kv_type);
  if (partial.device.empty()) take(filled, whole, Member::device);
  if (partial.routing.empty()) take(filled, whole, Member::routing);
  return filled == whole;
}

std::int64_t new_tokens_of(const ScenarioRecord& scenario) { return scenario.phase == "decode" ? 1 : scenario.context; }

std::string to_text(const ScenarioRecord& s) {
  std::string text = fmt::format("{} {} batch {} context {}", s.model, s.phase, s.batch, s.context);
  if (s.new_tokens != 0 && s.new_tokens != new_tokens_of(s)) text += fmt::format(" new {}", s.new_tokens);
  if (s.weight_type == s.activation_type && s.weight_type == s.kv_type) {
    text += " " + s.weight_type;
  } else {
    text += fmt::format(" {} weights {} activations {} KV", s.weight_type, s.activation_type, s.kv_type);
  }
  if (!s.routing.empty()) text += fmt::format(" {} routing", s.routing);
  if (!s.device.empty()) text += " on " + s.device;
  if (!s.shard.empty()) text += " shard " + s.shard;
  return text;
}

}  // namespace layercost
