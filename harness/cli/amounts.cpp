// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/amounts.h"

#include <cmath>

namespace layercost {

std::string si(double value, const char* unit) {
  const char* prefix[] = {"", "k", "M", "G", "T", "P", "E"};
  int i = 0;
  while (value >= 999.5 && i < 6) {
    value /= 1000;
    ++i;
  }
  return fmt::format("{:.3g} {}{}", value, prefix[i], unit);
}

std::string memory_text(const MemoryNeed& need, double device_bytes, const std::string& device) {
  std::string out;
  const double total = need.total_bytes();
  const std::string states = need.state_bytes > 0 ? fmt::format(" and states ({})", si(need.state_bytes, "B")) : "";
  say(out, "memory: {} weights + {} KV cache{} + {} activations = {}\n", si(need.weight_bytes, "B"),
      si(need.kv_bytes, "B"), states, si(need.activation_bytes, "B"), si(total, "B"));
  if (need.kv_held_bytes > need.kv_bytes)
    say(out, "        ({} KV cache in an engine that keeps what the windows have left behind)\n",
        si(need.kv_held_bytes, "B"));
  if (total <= device_bytes)
    say(out, "fits {} ({}); largest batch that would: {}\n", device, si(device_bytes, "B"),
        need.largest_batch.value_or(0));
  else if (need.largest_batch)
    say(out, "does not fit {} ({}); largest batch that would: {}\n", device, si(device_bytes, "B"),
        *need.largest_batch);
  else say(out, "does not fit {} ({}), at no batch\n", device, si(device_bytes, "B"));
  return out;
}

nlohmann::ordered_json json_number(double value) {
  constexpr double kExact = 9007199254740992.0;
  if (value == std::floor(value) && value <= kExact) return static_cast<std::int64_t>(value);
  return value;
}

nlohmann::ordered_json memory_json(const MemoryNeed& need, double device_bytes) {
  nlohmann::ordered_json out = {
      {"weight_bytes", json_number(need.weight_bytes)},         {"kv_bytes", json_number(need.kv_bytes)},
      {"kv_held_bytes", json_number(need.kv_held_bytes)},       {"state_bytes", json_number(need.state_bytes)},
      {"activation_bytes", json_number(need.activation_bytes)}, {"device_bytes", json_number(device_bytes)}};
  if (need.largest_batch) out["largest_batch"] = *need.largest_batch;
  return out;
}

}  // namespace layercost
