// Selected keys, by whatever is fastest for keys that lie side by side (attention_gather.h). At DeepSeek's sizes that
// copies 2.4 MB of latents for 0.57 GFLOP of products, because every head of the query uses them.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "attention_variants.h"
#include "kernels/attention/attention_gather.h"
#include "kernels/core/team.h"

namespace layercost {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{8} << 20;  // of gathered keys: they stay in a cache
constexpr std::int64_t kMostRows = 8;                       // three of 2048 latents of DeepSeek's size are 7 MB

Support supports(const OpCase& c, const DeviceInfo& device) {
  return gather_supports(gather_plan(c, kMostBytes, kMostRows), device);
}

struct Gathered {
  GatherPlan p;
  GatherParts parts;
  Tensor q, cache, y, selection;

  void gather(std::int64_t first, std::int64_t rows) const {
    constexpr std::int64_t kKeys = 256;  // of a piece
    const std::int64_t selected = p.a.selected, pieces = (selected + kKeys - 1) / kKeys;
    each_piece(rows * pieces, [&](int, std::int64_t piece, std::int64_t) {
      const std::int64_t r = piece / pieces, begin = piece % pieces * kKeys, row = p.row_of(first + r);
      const std::int32_t* keys = selection.as<std::int32_t>() + row * selected;
      const std::byte* from = cache.as<std::byte>() + row / p.a.q_len * p.a.capacity * p.entry_bytes;
      std::byte* to = parts.keys.view().as<std::byte>() + r * selected * p.entry_bytes;
      for (std::int64_t n = begin; n < std::min(begin + kKeys, selected); ++n)
        std::memcpy(to + n * p.entry_bytes, from + keys[n] * p.entry_bytes, static_cast<std::size_t>(p.entry_bytes));
      if (begin == 0)
        std::memcpy(parts.q.view().as<std::byte>() + r * p.q_bytes, q.as<std::byte>() + row * p.q_bytes,
                    static_cast<std::size_t>(p.q_bytes));
    });
  }
  void run() const {
    for (const auto& call : parts.whole) call->run();
    for (std::int64_t first = 0; first < p.cut_rows(); first += p.at_once) {
      const std::int64_t rows = std::min(p.at_once, p.cut_rows() - first);
      gather(first, rows);
      (rows == p.at_once ? parts.cut : parts.rest)->run();
      for (std::int64_t r = 0; r < rows; ++r)
        std::memcpy(y.as<std::byte>() + p.row_of(first + r) * p.y_bytes, parts.y.view().as<std::byte>() + r * p.y_bytes,
                    static_cast<std::size_t>(p.y_bytes));
    }
  }
};

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const GatherPlan p = gather_plan(c, kMostBytes, kMostRows);
  const auto g = std::make_shared<Gathered>(Gathered{p, gather_parts(p, t, runtime), t.tensor("q"), t.tensor("k_cache"),
                                                     t.tensor("y"), t.tensor("selection")});
  return invocation([g] { g->run(); }, g->parts.chosen);
}

}  // namespace

const Variant attention_gathered{
    .name = "gathered",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "uncached shared_kv sinks selected x_type=f32|bf16 kv_type=f32|bf16|fp8_e4m3 y_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
