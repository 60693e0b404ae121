// What:    what identifies a point: which model, in which step, in which number formats, how routed, on what. One
//          struct and one comparison for everything that joins, resumes, copies, pins, pairs, merges or names points
//          and what belongs to them. A new fact of a scenario is a new member here, in Member, and in result_io.cpp.
// Rules:   two scenarios are the same if every member is. What may differ on purpose (the phase, for the head that
//          prefill and decode end in) is named where it is compared.
// Partial: what is read from a file may leave members empty (a peer says no routing); matches() takes those for any.
// Units:   tokens, sequences.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

namespace layercost {

struct ScenarioRecord {
  std::string model;
  std::string phase;               // "prefill" or "decode"
  std::int64_t batch = 0;
  std::int64_t context = 0;        // decode: keys cached before the step; prefill: prompt length
  std::int64_t new_tokens = 0;     // of each sequence: 1 in decode, the prompt in prefill; not in files, as it follows
  std::string weight_type, activation_type, kv_type;
  std::string device;
  std::string routing;             // "" for a model without experts
  std::string shard;               // "": the whole model; not in files before there are others

  auto operator<=>(const ScenarioRecord&) const = default;
};

// Of records that have one.
inline bool same_scenario(const ScenarioRecord& a, const ScenarioRecord& b) { return a == b; }

enum class Member {
  model, phase, batch, context, new_tokens, weight_type, activation_type, kv_type, device, routing, shard  // the last
};

// f(its name, the pointer to it), of every member as of one.
template <typename F>
auto with_member(Member member, const F& f) {
  switch (member) {
    case Member::model: return f("model", &ScenarioRecord::model);
    case Member::phase: return f("phase", &ScenarioRecord::phase);
    case Member::batch: return f("batch", &ScenarioRecord::batch);
    case Member::context: return f("context", &ScenarioRecord::context);
    case Member::new_tokens: return f("new_tokens", &ScenarioRecord::new_tokens);
    case Member::weight_type: return f("weight_type", &ScenarioRecord::weight_type);
    case Member::activation_type: return f("activation_type", &ScenarioRecord::activation_type);
    case Member::kv_type: return f("kv_type", &ScenarioRecord::kv_type);
    case Member::device: return f("device", &ScenarioRecord::device);
    case Member::routing: return f("routing", &ScenarioRecord::routing);
    case Member::shard: return f("shard", &ScenarioRecord::shard);
  }
  throw std::invalid_argument("no such member of a scenario");
}
template <typename F>
void each_member(const F& f) {
  for (int m = 0; m <= static_cast<int>(Member::shard); ++m) with_member(static_cast<Member>(m), f);
}

// The scenario without the named members: one key for all that same_except() would find alike.
ScenarioRecord without(ScenarioRecord scenario, std::initializer_list<Member> free);

// Whether all members but the named ones are the same.
bool same_except(const ScenarioRecord& a, const ScenarioRecord& b, std::initializer_list<Member> free);

// Prefill and decode of the same batch end in the same head: on one row of each sequence, without cache and experts.
bool same_head(const ScenarioRecord& a, const ScenarioRecord& b);

// Whether a dense model and a mixture of experts do the same: the model and its routing apart.
bool same_task(const ScenarioRecord& a, const ScenarioRecord& b);

// Whether every member that `partial` gives (not empty, not 0) is that of `whole`. A context of 0 is given, and so is
// the shard: "" is the whole model.
bool matches(const ScenarioRecord& partial, const ScenarioRecord& whole);

// What new_tokens is in the phases that there are.
std::int64_t new_tokens_of(const ScenarioRecord& scenario);

// "qwen3-4b decode batch 1 context 1024 bf16 on cpu": every member that is there and does not follow from the others.
std::string to_text(const ScenarioRecord& scenario);

}  // namespace layercost
