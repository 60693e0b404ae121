// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/attention_gather.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/core/error.h"

namespace layercost {
namespace {

OpCase dense_case(const OpCase& c, std::int64_t batch, std::int64_t q_len, std::int64_t kv_len, std::int64_t capacity) {
  OpCase d = c;
  return d.set("selected", 0).set("batch", batch).set("q_len", q_len).set("kv_len", kv_len).set("capacity", capacity);
}

// Rows first .. first + rows - 1 of a tensor.
Tensor rows_of(const Tensor& t, std::int64_t first, std::int64_t rows) {
  Tensor out = t;
  out.data = t.as<std::byte>() + static_cast<std::int64_t>(t.bytes()) / t.dim(0) * first;
  out.shape[0] = rows;
  return out;
}

}  // namespace

GatherPlan gather_plan(const OpCase& c, std::int64_t most_bytes, std::int64_t most_rows) {
  const auto size = [&](const char* type) { return static_cast<std::int64_t>(size_of(c.type(type))); };
  GatherPlan p{.a = attention_axes(c), .whole_case = c, .cut_case = c, .rest_case = c};
  p.entry_bytes = p.a.qk_dim * size("kv_type");
  p.q_bytes = p.a.heads * p.a.qk_dim * size("x_type"), p.y_bytes = p.a.heads * p.a.v_dim * size("y_type");
  if (p.a.selected == 0) return p;
  p.whole = std::clamp<std::int64_t>(p.a.selected - p.a.end_key(0) + 1, 0, p.a.q_len), p.cut = p.a.q_len - p.whole;
  if (p.whole > 0) p.whole_case = dense_case(c, 1, p.whole, p.a.end_key(p.whole - 1), p.a.capacity);
  if (p.cut == 0) return p;
  p.at_once =
      std::clamp<std::int64_t>(most_bytes / (p.a.selected * p.entry_bytes), 1, std::min(most_rows, p.cut_rows()));
  p.rest = p.cut_rows() % p.at_once;
  p.cut_case = dense_case(c, p.at_once, 1, p.a.selected, p.a.selected);
  if (p.rest > 0) p.rest_case = dense_case(c, p.rest, 1, p.a.selected, p.a.selected);
  return p;
}

Support gather_supports(const GatherPlan& p, const DeviceInfo& device) {
  if (p.a.selected == 0) return Support::no("takes selected keys only");
  try {
    if (p.whole > 0) default_variant(attention_op, p.whole_case, device);
    if (p.cut > 0) default_variant(attention_op, p.cut_case, device);
    if (p.rest > 0) default_variant(attention_op, p.rest_case, device);
  } catch (const BadCase& e) {
    return Support::no(e.what());
  }
  return Support::yes();
}

GatherParts gather_parts(const GatherPlan& p, const OpTensors& t, Runtime& runtime) {
  const AttentionAxes& a = p.a;
  const Tensor &q = t.tensor("q"), &cache = t.tensor("k_cache"), &y = t.tensor("y");
  GatherParts out;
  std::string of_one;
  const auto attend = [&](const OpCase& part, const Tensor& part_q, const Tensor& keys, const Tensor& part_y) {
    OpTensors bound;
    bound.bind("q", part_q);
    bound.bind("k_cache", keys);
    bound.bind("y", part_y);
    if (a.sinks) bound.bind("sinks", t.weight("sinks"));
    const Variant& variant = default_variant(attention_op, part, runtime.device());
    auto call = variant.prepare(part, bound, runtime);
    of_one = fmt::format("{}{}", variant.name, call->chosen().empty() ? "" : " (" + call->chosen() + ")");
    return call;
  };
  for (std::int64_t b = 0; p.whole > 0 && b < a.batch; ++b)
    out.whole.push_back(
        attend(p.whole_case, rows_of(q, b * a.q_len, p.whole), rows_of(cache, b, 1), rows_of(y, b * a.q_len, p.whole)));
  if (p.whole > 0) out.chosen = fmt::format("first {} queries: {}", p.whole, of_one);
  if (p.cut == 0) return out;
  out.q = runtime.tensor(q.dtype, {p.at_once, a.heads, a.qk_dim});
  out.keys = runtime.tensor(cache.dtype, {p.at_once, 1, a.selected, a.qk_dim});
  out.y = runtime.tensor(y.dtype, {p.at_once, a.heads * a.v_dim});
  const auto of = [&](const OpCase& part, std::int64_t rows) {
    return attend(part, rows_of(out.q, 0, rows), rows_of(out.keys, 0, rows), rows_of(out.y, 0, rows));
  };
  if (p.rest > 0) out.rest = of(p.rest_case, p.rest);
  out.cut = of(p.cut_case, p.at_once);
  out.chosen += fmt::format("{}{} queries at once: {}", p.whole > 0 ? "; then " : "", p.at_once, of_one);
  return out;
}

}  // namespace layercost
