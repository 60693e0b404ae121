// Selected keys, by whatever is fastest for keys that lie side by side: a query's keys are copied to where they do, and
// a sequence of its own attends there. At DeepSeek's sizes that copies 2.4 MB of latents for 0.57 GFLOP of products,
// and every head of the query uses them. Queries that see all they may see, the first of a prompt, attend to the cache
// itself.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/core/error.h"
#include "kernels/core/team.h"

namespace layercost {
namespace {

// How the queries of a sequence are split: the first `whole` see every key that they may see.
struct Split {
  std::int64_t whole, cut;
  explicit Split(const AttentionAxes& a)
      : whole(std::clamp<std::int64_t>(a.selected - a.end_key(0) + 1, 0, a.q_len)), cut(a.q_len - whole) {}
};

// Queries at a time whose keys are gathered: enough for all threads, in memory that stays in a cache.
std::int64_t rows_at_once(const OpCase& c, std::int64_t all) {
  constexpr std::int64_t kBytes = std::int64_t{8} << 20;
  const AttentionAxes a = attention_axes(c);
  const std::int64_t of_row = a.selected * a.qk_dim * static_cast<std::int64_t>(size_of(c.type("kv_type")));
  return std::clamp<std::int64_t>(kBytes / of_row, 1, all);
}

OpCase dense_case(const OpCase& c, std::int64_t batch, std::int64_t q_len, std::int64_t kv_len, std::int64_t capacity) {
  OpCase d = c;
  return d.set("selected", 0).set("batch", batch).set("q_len", q_len).set("kv_len", kv_len).set("capacity", capacity);
}

// Of the queries that see all; of rows_at_once() queries with gathered keys; of the rest of these. batch 0: none.
struct Cases {
  OpCase whole, cut, rest;
  std::int64_t at_once = 0, rest_rows = 0;
};
Cases cases_of(const OpCase& c) {
  const AttentionAxes a = attention_axes(c);
  const Split split(a);
  Cases out{c, c, c};
  if (split.whole > 0) out.whole = dense_case(c, 1, split.whole, a.end_key(split.whole - 1), a.capacity);
  if (split.cut > 0) {
    out.at_once = rows_at_once(c, a.batch * split.cut), out.rest_rows = a.batch * split.cut % out.at_once;
    out.cut = dense_case(c, out.at_once, 1, a.selected, a.selected);
    if (out.rest_rows > 0) out.rest = dense_case(c, out.rest_rows, 1, a.selected, a.selected);
  }
  return out;
}

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (attention_axes(c).selected == 0) return Support::no("takes selected keys only");
  const Cases cases = cases_of(c);
  try {
    for (const OpCase* part : {&cases.whole, &cases.cut, &cases.rest})
      if (part->integer("selected", 0) == 0) default_variant(attention_op, *part, device);
  } catch (const BadCase& e) {
    return Support::no(e.what());
  }
  return Support::yes();
}

struct Gathered {
  AttentionAxes a;
  Split split;
  std::int64_t at_once, entry_bytes, q_bytes, y_bytes;  // of a key, of a query, of its result
  Tensor q, cache, y, selection;
  OwnedTensor near_q, near_keys, near_y;
  std::vector<std::unique_ptr<Invocation>> whole;  // of a sequence each
  std::unique_ptr<Invocation> cut, rest;

  // Number r of the queries whose keys are gathered, among all.
  std::int64_t row_of(std::int64_t r) const { return r / split.cut * a.q_len + split.whole + r % split.cut; }

  void gather(std::int64_t first, std::int64_t rows) const {
    constexpr std::int64_t kKeys = 256;  // of a piece
    const std::int64_t parts = (a.selected + kKeys - 1) / kKeys;
    each_piece(rows * parts, [&](int, std::int64_t piece, std::int64_t) {
      const std::int64_t r = piece / parts, begin = piece % parts * kKeys, row = row_of(first + r);
      const std::int32_t* keys = selection.as<std::int32_t>() + row * a.selected;
      const std::byte* from = cache.as<std::byte>() + row / a.q_len * a.capacity * entry_bytes;
      std::byte* to = near_keys.view().as<std::byte>() + r * a.selected * entry_bytes;
      for (std::int64_t n = begin; n < std::min(begin + kKeys, a.selected); ++n)
        std::memcpy(to + n * entry_bytes, from + keys[n] * entry_bytes, static_cast<std::size_t>(entry_bytes));
      if (begin == 0)
        std::memcpy(near_q.view().as<std::byte>() + r * q_bytes, q.as<std::byte>() + row * q_bytes,
                    static_cast<std::size_t>(q_bytes));
    });
  }
  void run() const {
    for (const auto& call : whole) call->run();
    const std::int64_t all = a.batch * split.cut;
    for (std::int64_t first = 0; first < all; first += at_once) {
      const std::int64_t rows = std::min(at_once, all - first);
      gather(first, rows);
      (rows == at_once ? cut : rest)->run();
      for (std::int64_t r = 0; r < rows; ++r)
        std::memcpy(y.as<std::byte>() + row_of(first + r) * y_bytes, near_y.view().as<std::byte>() + r * y_bytes,
                    static_cast<std::size_t>(y_bytes));
    }
  }
};

// Rows first .. first + rows - 1 of a tensor.
Tensor rows_of(const Tensor& t, std::int64_t first, std::int64_t rows) {
  Tensor out = t;
  out.data = t.as<std::byte>() + static_cast<std::int64_t>(t.bytes()) / t.dim(0) * first;
  out.shape[0] = rows;
  return out;
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const AttentionAxes a = attention_axes(c);
  const Cases cases = cases_of(c);
  const auto size = [&](const char* type) { return static_cast<std::int64_t>(size_of(c.type(type))); };
  const auto g = std::make_shared<Gathered>(Gathered{a,
                                                     Split(a),
                                                     cases.at_once,
                                                     a.qk_dim * size("kv_type"),
                                                     a.heads * a.qk_dim * size("x_type"),
                                                     a.heads * a.v_dim * size("y_type"),
                                                     t.tensor("q"),
                                                     t.tensor("k_cache"),
                                                     t.tensor("y"),
                                                     t.tensor("selection"),
                                                     {},
                                                     {},
                                                     {},
                                                     {},
                                                     {},
                                                     {}});
  std::string chosen;
  const auto attend = [&](const OpCase& part, const Tensor& q, const Tensor& keys, const Tensor& y) {
    OpTensors bound;
    bound.bind("q", q);
    bound.bind("k_cache", keys);
    bound.bind("y", y);
    if (a.sinks) bound.bind("sinks", t.weight("sinks"));
    const Variant& variant = default_variant(attention_op, part, runtime.device());
    auto call = variant.prepare(part, bound, runtime);
    chosen = fmt::format("{}{}", variant.name, call->chosen().empty() ? "" : " (" + call->chosen() + ")");
    return call;
  };
  for (std::int64_t b = 0; g->split.whole > 0 && b < a.batch; ++b)
    g->whole.push_back(attend(cases.whole, rows_of(g->q, b * a.q_len, g->split.whole), rows_of(g->cache, b, 1),
                              rows_of(g->y, b * a.q_len, g->split.whole)));
  const std::string of_whole = chosen;
  if (g->split.cut > 0) {
    g->near_q = OwnedTensor(c.type("x_type"), {g->at_once, a.heads, a.qk_dim});
    g->near_keys = OwnedTensor(c.type("kv_type"), {g->at_once, 1, a.selected, a.qk_dim});
    g->near_y = OwnedTensor(c.type("y_type"), {g->at_once, a.heads * a.v_dim});
    const auto of = [&](const OpCase& part, std::int64_t rows) {
      return attend(part, rows_of(g->near_q, 0, rows), rows_of(g->near_keys, 0, rows), rows_of(g->near_y, 0, rows));
    };
    if (cases.rest_rows > 0) g->rest = of(cases.rest, cases.rest_rows);
    g->cut = of(cases.cut, g->at_once);
    chosen = fmt::format("{} queries at once: {}", g->at_once, chosen);
  }
  if (g->split.whole > 0 && g->split.cut > 0)
    chosen = fmt::format("first {}: {}; then {}", g->split.whole, of_whole, chosen);
  return invocation([g] { g->run(); }, chosen);
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
