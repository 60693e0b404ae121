// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "attention_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/contract/reference.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"
#include "kernels/core/team.h"

namespace layercost {

AttentionAxes attention_axes(const OpCase& c) {
  const AttentionAxes a{
      c.axis("batch"),    c.axis("q_len"),     c.axis("kv_len"), c.axis("capacity"),       c.axis("heads"),
      c.axis("kv_heads"), c.axis("qk_dim"),    c.axis("v_dim"),  c.integer("window", 0),   c.integer("chunk", 0),
      c.real("scale"),    c.flag("shared_kv"), c.flag("sinks"),  c.integer("selected", 0),
  };
  const auto expect = [&](bool ok, const char* what) {
    if (!ok) throw BadCase("'" + c.text() + "': expected " + what);
  };
  expect(a.q_len <= a.kv_len && a.kv_len <= a.capacity, "q_len <= kv_len <= capacity");
  expect(a.heads % a.kv_heads == 0, "kv_heads to divide heads");
  expect(a.window == 0 || a.chunk == 0, "a window or a chunk, not both");
  expect(a.selected == 0 || (a.shared_kv && a.kv_heads == 1 && a.window == 0 && a.chunk == 0),
         "shared_kv=1 and kv_heads=1, and no window or chunk, where keys are selected");
  expect(!a.shared_kv || a.v_dim <= a.qk_dim, "v_dim <= qk_dim where keys hold the values");
  return a;
}

const Tensor& attention_values(const AttentionAxes& a, const OpTensors& t) {
  return t.tensor(a.shared_kv ? "k_cache" : "v_cache");
}

std::shared_ptr<const OwnedTensor> attention_sinks(const AttentionAxes& a, const OpTensors& t) {
  return a.sinks ? row_major(*t.weight("sinks")) : nullptr;
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("batch"),
    axis_key("q_len"),
    axis_key("kv_len"),
    axis_key("capacity"),
    axis_key("heads"),
    axis_key("kv_heads"),
    axis_key("qk_dim"),
    axis_key("v_dim"),
    integer_key("window", 0).or_else("0"),
    integer_key("chunk", 0).or_else("0"),
    flag_key("shared_kv"),
    flag_key("uncached"),
    flag_key("sinks"),
    integer_key("selected", 0).or_else("0"),
    real_key("scale"),
    type_key("x_type", kFloatTypes),
    type_key("kv_type", kCacheTypes),
    type_key("y_type", kFloatTypes),
};

// Normal values, and NaN in the slots that hold no key yet.
void fill_cache(const Tensor& t, std::uint64_t seed, std::int64_t kv_len) {
  fill_normal(t, seed);
  const std::int64_t capacity = t.dim(2), dim = t.dim(3);
  for (std::int64_t head = 0; head < t.dim(0) * t.dim(1); ++head)
    for (std::int64_t i = kv_len * dim; i < capacity * dim; ++i)
      t.store(head * capacity * dim + i, std::numeric_limits<double>::quiet_NaN());
}

// Of each query as many different keys as it sees, ascending, behind them -1: all of them where they are no more.
void fill_selection(const Tensor& t, std::uint64_t seed, const AttentionAxes& a) {
  for (std::int64_t row = 0; row < a.batch * a.q_len; ++row) {
    std::int64_t left = a.seen_keys(row % a.q_len), at = row * a.selected;
    const std::int64_t end = a.end_key(row % a.q_len);
    for (std::int64_t j = 0; j < end; ++j)  // taken with the chance that leaves every choice alike
      if (static_cast<std::int64_t>(uniform_below(hash64(seed, static_cast<std::uint64_t>(row * a.kv_len + j)),
                                                  static_cast<std::uint64_t>(end - j))) < left) {
        t.store(at++, static_cast<double>(j));
        --left;
      }
    while (at < (row + 1) * a.selected) t.store(at++, -1);
  }
}

std::vector<TensorSpec> tensors(const OpCase& c) {
  const AttentionAxes a = attention_axes(c);
  const DType kv = c.type("kv_type");
  const auto fill = [n = a.kv_len](const Tensor& t, std::uint64_t seed) { fill_cache(t, seed, n); };
  std::vector<TensorSpec> out = {
      {"q", Role::input, c.type("x_type"), {a.batch * a.q_len, a.heads, a.qk_dim}},
      {"k_cache", Role::input, kv, {a.batch, a.kv_heads, a.capacity, a.qk_dim}, 1, 0, fill},
      {"y", Role::output, c.type("y_type"), {a.batch * a.q_len, a.heads * a.v_dim}},
  };
  if (!a.shared_kv)
    out.insert(out.begin() + 2, {"v_cache", Role::input, kv, {a.batch, a.kv_heads, a.capacity, a.v_dim}, 1, 0, fill});
  if (a.selected > 0)
    out.push_back({"selection",
                   Role::input,
                   DType::i32,
                   {a.batch * a.q_len, a.selected},
                   1,
                   0,
                   [a](const Tensor& t, std::uint64_t seed) { fill_selection(t, seed, a); }});
  // Around the logarithm of a few keys: some heads' sinks are nearly all of the weights, some hardly any.
  if (a.sinks) out.push_back({"sinks", Role::weight, DType::f32, {a.heads}, 2.0f, 2.0f});
  return out;
}

Work work(const OpCase& c, const WorkFacts&) {
  const AttentionAxes a = attention_axes(c);
  double pairs = 0;
  for (std::int64_t i = 0; i < a.q_len; ++i) pairs += static_cast<double>(a.seen_keys(i));
  const auto batch = static_cast<double>(a.batch), heads = static_cast<double>(a.heads);
  const auto dims = static_cast<double>(a.qk_dim + a.v_dim), queries = batch * static_cast<double>(a.q_len);
  const auto x_bytes = static_cast<double>(a.qk_dim) * static_cast<double>(size_of(c.type("x_type")));
  const auto y_bytes = static_cast<double>(a.v_dim) * static_cast<double>(size_of(c.type("y_type")));
  Work w;
  w.flops = 2 * dims * pairs * batch * heads;
  // fp8 is exact in either type of the queries, and becomes it on the way.
  const DType x = c.type("x_type"), kv = c.type("kv_type");
  w.products = {{arithmetic_of(x, weight_format(kv == DType::fp8_e4m3 ? x : kv)), w.flops}};
  w.kv_read_bytes = (a.shared_kv ? static_cast<double>(a.qk_dim) : dims) *
                    static_cast<double>(a.selected > 0 ? a.seen_keys(a.q_len - 1) : a.kv_len - a.first_key(0)) * batch *
                    static_cast<double>(a.kv_heads) * static_cast<double>(size_of(c.type("kv_type")));
  w.activation_bytes = queries * heads * (x_bytes + y_bytes);
  w.activation_bytes += 4 * queries * static_cast<double>(a.selected);
  if (a.sinks) w.weight_bytes = heads * static_cast<double>(size_of(DType::f32));
  if (c.flag("uncached")) w.activation_bytes += std::exchange(w.kv_read_bytes, 0.0);
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string&) { return usual_tolerance(c.type("y_type"), c.axis("kv_len")); }

std::vector<std::int64_t> selected_keys(const AttentionAxes& a, const Tensor& selection, std::int64_t row) {
  std::vector<std::int64_t> out;
  for (std::int64_t at = row * a.selected; at < (row + 1) * a.selected && selection.load(at) >= 0; ++at)
    out.push_back(static_cast<std::int64_t>(selection.load(at)));
  return out;
}

void reference(const OpCase& c, const OpTensors& t) {
  const AttentionAxes a = attention_axes(c);
  const std::vector<double> q = as_double(t.tensor("q")), k = as_double(t.tensor("k_cache"));
  const Tensor &v = attention_values(a, t), &y = t.tensor("y");
  const OwnedTensor sinks = a.sinks ? t.weight("sinks")->whole() : OwnedTensor();
  const AskedRows* asked = t.asked();
  each_piece(a.batch * a.heads * a.q_len, [&](int, std::int64_t query, std::int64_t) {
    const std::int64_t b = query / a.q_len / a.heads, h = query / a.q_len % a.heads, i = query % a.q_len;
    if (asked != nullptr && !std::binary_search(asked->rows.begin(), asked->rows.end(), b * a.q_len + i)) return;
    const std::int64_t first = a.first_key(i), end = a.end_key(i), row = (b * a.q_len + i) * a.heads + h;
    const std::int64_t slots = (b * a.kv_heads + h / a.group()) * a.capacity;
    std::vector<double> s, out(static_cast<std::size_t>(a.v_dim));
    std::vector<std::int64_t> seen;
    for (std::int64_t j = first; j < end; ++j) seen.push_back(j);
    if (a.selected > 0) seen = selected_keys(a, t.tensor("selection"), b * a.q_len + i);
    for (const std::int64_t j : seen)
      s.push_back(a.scale * dot(q.data() + row * a.qk_dim, k.data() + (slots + j) * a.qk_dim, a.qk_dim));
    double max = *std::max_element(s.begin(), s.end());
    if (a.sinks) max = std::max(max, sinks.view().load(h));
    double sum = a.sinks ? std::exp(sinks.view().load(h) - max) : 0;
    for (std::size_t n = 0; n < seen.size(); ++n) {
      const double p = std::exp(s[n] - max);
      sum += p;
      for (std::int64_t d = 0; d < a.v_dim; ++d) out[d] += p * v.load((slots + seen[n]) * a.v_stride() + d);
    }
    for (std::int64_t d = 0; d < a.v_dim; ++d) y.store(row * a.v_dim + d, out[d] / sum);
  });
}

std::int64_t first_shared_column(const OpCase&, const std::string&) {
  return AskedRows::kNone;
}  // what rows share is in the cache

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           // caches in fp8: decode over several chunks, dims that fill no vector, a prompt
           "attention batch=2 q_len=1 kv_len=300 capacity=320 heads=8 kv_heads=2 qk_dim=128 v_dim=128 scale=0.088 "
           "x_type=bf16 kv_type=fp8_e4m3 y_type=bf16",
           "attention batch=1 q_len=2 kv_len=70 capacity=70 heads=3 kv_heads=1 qk_dim=36 v_dim=20 window=50 scale=0.16 "
           "x_type=f32 kv_type=fp8_e4m3 y_type=f32",
           "attention batch=1 q_len=130 kv_len=190 capacity=200 heads=4 kv_heads=2 qk_dim=64 v_dim=64 scale=0.125 "
           "x_type=bf16 kv_type=fp8_e4m3 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=1 capacity=1 heads=1 kv_heads=1 qk_dim=1 v_dim=1 scale=1 x_type=f32 "
           "kv_type=f32 y_type=f32",
           "attention batch=2 q_len=3 kv_len=7 capacity=9 heads=6 kv_heads=2 qk_dim=12 v_dim=12 scale=0.3 x_type=f32 "
           "kv_type=f32 y_type=f32",
           // decode: batch 1 and more, kv_heads 1, in between, all; long enough to be split over threads
           "attention batch=1 q_len=1 kv_len=1025 capacity=1088 heads=8 kv_heads=1 qk_dim=128 v_dim=128 scale=0.088 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=3 q_len=1 kv_len=301 capacity=301 heads=14 kv_heads=2 qk_dim=64 v_dim=64 scale=0.125 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=2 q_len=1 kv_len=90 capacity=100 heads=5 kv_heads=5 qk_dim=90 v_dim=37 scale=0.1 "
           "x_type=f32 kv_type=bf16 y_type=f32",
           "attention batch=1 q_len=4 kv_len=700 capacity=701 heads=12 kv_heads=4 qk_dim=128 v_dim=128 scale=0.088 "
           "x_type=bf16 kv_type=bf16 y_type=f32",
           "attention batch=1 q_len=1 kv_len=133 capacity=140 heads=80 kv_heads=1 qk_dim=72 v_dim=64 scale=0.1 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           // window shorter than kv_len, one query and several
           "attention batch=2 q_len=1 kv_len=777 capacity=800 heads=6 kv_heads=3 qk_dim=128 v_dim=128 window=130 "
           "scale=0.088 x_type=bf16 kv_type=bf16 y_type=f32",
           "attention batch=1 q_len=150 kv_len=333 capacity=400 heads=6 kv_heads=2 qk_dim=64 v_dim=64 window=50 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=5 kv_len=40 capacity=40 heads=2 kv_heads=1 qk_dim=16 v_dim=16 window=1 scale=0.25 "
           "x_type=f32 kv_type=f32 y_type=f32",
           // prefill, from an empty and from a filled cache
           "attention batch=1 q_len=257 kv_len=257 capacity=260 heads=4 kv_heads=4 qk_dim=128 v_dim=128 scale=0.088 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=2 q_len=70 kv_len=201 capacity=222 heads=8 kv_heads=1 qk_dim=96 v_dim=64 scale=0.1 "
           "x_type=f32 kv_type=f32 y_type=f32",
           "attention batch=1 q_len=200 kv_len=200 capacity=200 heads=15 kv_heads=5 qk_dim=12 v_dim=20 scale=0.29 "
           "x_type=f32 kv_type=bf16 y_type=f32",
           // scores beyond 88: a softmax that forgets the maximum overflows
           "attention batch=1 q_len=33 kv_len=65 capacity=65 heads=2 kv_heads=1 qk_dim=64 v_dim=64 scale=4 x_type=f32 "
           "kv_type=f32 y_type=f32",
           // decode on tensor cores: one key, one whole tile; groups of 1, 2, 5, 16, 20 and 71 heads; several queries
           "attention batch=2 q_len=1 kv_len=1 capacity=3 heads=2 kv_heads=2 qk_dim=64 v_dim=64 scale=0.125 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=64 capacity=64 heads=2 kv_heads=1 qk_dim=128 v_dim=128 scale=0.088 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=577 capacity=580 heads=5 kv_heads=1 qk_dim=64 v_dim=64 scale=0.125 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=2 q_len=1 kv_len=130 capacity=131 heads=16 kv_heads=1 qk_dim=128 v_dim=128 "
           "scale=0.088 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=530 capacity=540 heads=20 kv_heads=1 qk_dim=128 v_dim=128 "
           "scale=0.088 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=90 capacity=90 heads=71 kv_heads=1 qk_dim=64 v_dim=64 scale=0.125 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=3 kv_len=520 capacity=521 heads=16 kv_heads=1 qk_dim=64 v_dim=64 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=600 capacity=600 heads=3 kv_heads=3 qk_dim=128 v_dim=128 scale=0.088 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",  // one row: all warps share its splits
           // more than eight splits of the keys; a last split of which the first queries see nothing
           "attention batch=1 q_len=1 kv_len=2700 capacity=2700 heads=4 kv_heads=1 qk_dim=64 v_dim=64 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=8 kv_len=1283 capacity=1290 heads=1 kv_heads=1 qk_dim=64 v_dim=64 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           // windows shorter than a tile and over several tiles
           "attention batch=1 q_len=3 kv_len=300 capacity=301 heads=4 kv_heads=2 qk_dim=64 v_dim=64 window=5 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=2 kv_len=900 capacity=901 heads=4 kv_heads=2 qk_dim=128 v_dim=128 "
           "window=600 scale=0.088 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=40 kv_len=100 capacity=103 heads=3 kv_heads=1 qk_dim=128 v_dim=128 "
           "window=30 scale=0.088 x_type=bf16 kv_type=bf16 y_type=bf16",
           // prefill in blocks of 64 and of 128 queries: a whole block, a part of one, several, behind a filled cache
           "attention batch=1 q_len=64 kv_len=64 capacity=64 heads=1 kv_heads=1 qk_dim=64 v_dim=64 scale=0.125 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=2 q_len=70 kv_len=201 capacity=203 heads=2 kv_heads=1 qk_dim=64 v_dim=64 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=130 kv_len=194 capacity=200 heads=4 kv_heads=1 qk_dim=64 v_dim=64 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           // scores beyond 88 in bf16
           "attention batch=1 q_len=1 kv_len=300 capacity=300 heads=2 kv_heads=1 qk_dim=64 v_dim=64 scale=4 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=20 kv_len=65 capacity=65 heads=2 kv_heads=1 qk_dim=64 v_dim=64 scale=4 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           // one tile of dims, several, different for keys and values; last steps of 1, 31, 32 and 33 keys
           "attention batch=2 q_len=1 kv_len=97 capacity=99 heads=6 kv_heads=2 qk_dim=32 v_dim=96 scale=0.17 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=415 capacity=416 heads=8 kv_heads=1 qk_dim=256 v_dim=256 scale=0.06 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=37 kv_len=37 capacity=40 heads=4 kv_heads=4 qk_dim=192 v_dim=128 scale=0.07 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=2 q_len=90 kv_len=225 capacity=230 heads=6 kv_heads=2 qk_dim=32 v_dim=96 scale=0.17 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=50 kv_len=287 capacity=288 heads=2 kv_heads=2 qk_dim=256 v_dim=256 scale=0.06 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           // more than 256 rows, from a block boundary on, with a window that skips blocks
           "attention batch=1 q_len=300 kv_len=700 capacity=704 heads=6 kv_heads=2 qk_dim=64 v_dim=64 window=200 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           // maxima that rise by more than 2^8 from block to block
           "attention batch=1 q_len=40 kv_len=600 capacity=600 heads=2 kv_heads=1 qk_dim=64 v_dim=64 scale=3 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           // Values in the keys: awkward sizes, a window, DeepSeek's own, some queries on cached keys, more heads than
           // a block of 64 rows, a prompt.
           "attention batch=2 q_len=3 kv_len=7 capacity=9 heads=6 kv_heads=2 qk_dim=12 v_dim=7 shared_kv=1 scale=0.3 "
           "x_type=f32 kv_type=f32 y_type=f32",
           "attention batch=1 q_len=2 kv_len=90 capacity=93 heads=5 kv_heads=1 qk_dim=40 v_dim=40 window=33 "
           "shared_kv=1 scale=0.2 x_type=f32 kv_type=bf16 y_type=f32",
           "attention batch=2 q_len=1 kv_len=331 capacity=340 heads=16 kv_heads=1 qk_dim=576 v_dim=512 shared_kv=1 "
           "scale=0.07 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=3 kv_len=131 capacity=133 heads=20 kv_heads=1 qk_dim=576 v_dim=512 shared_kv=1 "
           "scale=0.07 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=2 q_len=2 kv_len=95 capacity=97 heads=9 kv_heads=1 qk_dim=576 v_dim=512 window=50 "
           "shared_kv=1 scale=0.07 x_type=bf16 kv_type=bf16 y_type=bf16",
           // Keys of more than two splits: with two, a first that combines too early is mended by the second.
           "attention batch=1 q_len=1 kv_len=500 capacity=500 heads=5 kv_heads=1 qk_dim=576 v_dim=512 shared_kv=1 "
           "scale=0.07 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=70 capacity=70 heads=128 kv_heads=1 qk_dim=576 v_dim=512 shared_kv=1 "
           "scale=0.07 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=1 capacity=1 heads=3 kv_heads=1 qk_dim=96 v_dim=64 shared_kv=1 "
           "scale=0.1 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=300 capacity=300 heads=17 kv_heads=1 qk_dim=96 v_dim=64 shared_kv=1 "
           "scale=3 x_type=bf16 kv_type=bf16 y_type=f32",
           "attention batch=1 q_len=40 kv_len=70 capacity=70 heads=2 kv_heads=1 qk_dim=64 v_dim=32 shared_kv=1 "
           "scale=0.12 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=2 q_len=45 kv_len=45 capacity=45 heads=3 kv_heads=3 qk_dim=192 v_dim=128 uncached=1 "
           "scale=0.07 x_type=bf16 kv_type=bf16 y_type=bf16",
           // Partial tiles of 128 queries and 128 keys, several of each, on cached keys; the same with a window that
           // begins inside of a tile.
           "attention batch=2 q_len=150 kv_len=420 capacity=430 heads=4 kv_heads=2 qk_dim=128 v_dim=128 scale=0.088 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=270 kv_len=400 capacity=400 heads=2 kv_heads=1 qk_dim=128 v_dim=128 window=150 "
           "scale=0.088 x_type=bf16 kv_type=bf16 y_type=bf16",
           // Chunks: shorter than a tile and over several, prompts that begin in the middle of one, decode just
           // behind an edge and just before the next, one chunk for all, wide heads, a cache in fp8.
           "attention batch=2 q_len=13 kv_len=13 capacity=15 heads=6 kv_heads=2 qk_dim=12 v_dim=12 chunk=5 scale=0.3 "
           "x_type=f32 kv_type=f32 y_type=f32",
           "attention batch=1 q_len=150 kv_len=333 capacity=340 heads=6 kv_heads=2 qk_dim=64 v_dim=64 chunk=50 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=2 q_len=201 kv_len=201 capacity=203 heads=4 kv_heads=1 qk_dim=128 v_dim=128 chunk=96 "
           "scale=0.088 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=300 kv_len=700 capacity=704 heads=5 kv_heads=1 qk_dim=128 v_dim=128 chunk=256 "
           "scale=0.088 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=2 q_len=1 kv_len=513 capacity=520 heads=10 kv_heads=2 qk_dim=128 v_dim=128 chunk=256 "
           "scale=0.088 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=3 kv_len=514 capacity=520 heads=4 kv_heads=2 qk_dim=64 v_dim=64 chunk=256 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=70 kv_len=90 capacity=90 heads=3 kv_heads=3 qk_dim=64 v_dim=64 chunk=1000 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=f32",
           "attention batch=1 q_len=20 kv_len=90 capacity=93 heads=4 kv_heads=1 qk_dim=36 v_dim=20 chunk=33 sinks=1 "
           "scale=0.16 x_type=f32 kv_type=fp8_e4m3 y_type=f32",
           // Sinks: awkward sizes, one key, gpt-oss's layers with and without a window, several splits, fewer rows than
           // warps, several queries of several heads, prompts, large scores, values in the keys.
           "attention batch=2 q_len=3 kv_len=7 capacity=9 heads=6 kv_heads=2 qk_dim=12 v_dim=12 sinks=1 scale=0.3 "
           "x_type=f32 kv_type=f32 y_type=f32",
           "attention batch=2 q_len=1 kv_len=1 capacity=3 heads=4 kv_heads=2 qk_dim=64 v_dim=64 sinks=1 scale=0.125 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=2 q_len=1 kv_len=333 capacity=340 heads=64 kv_heads=8 qk_dim=64 v_dim=64 window=128 "
           "sinks=1 scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=1300 capacity=1301 heads=16 kv_heads=2 qk_dim=64 v_dim=64 sinks=1 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=2700 capacity=2700 heads=4 kv_heads=4 qk_dim=128 v_dim=128 sinks=1 "
           "scale=0.088 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=3 kv_len=520 capacity=521 heads=20 kv_heads=1 qk_dim=64 v_dim=64 sinks=1 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=2 q_len=70 kv_len=201 capacity=203 heads=4 kv_heads=2 qk_dim=64 v_dim=64 sinks=1 "
           "scale=0.125 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=150 kv_len=333 capacity=400 heads=6 kv_heads=2 qk_dim=128 v_dim=128 window=50 "
           "sinks=1 scale=0.088 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=40 kv_len=65 capacity=65 heads=2 kv_heads=1 qk_dim=64 v_dim=64 sinks=1 scale=4 "
           "x_type=bf16 kv_type=bf16 y_type=f32",
           "attention batch=1 q_len=1 kv_len=331 capacity=340 heads=16 kv_heads=1 qk_dim=96 v_dim=64 shared_kv=1 "
           "sinks=1 scale=0.1 x_type=bf16 kv_type=bf16 y_type=bf16",
           // Selected keys: awkward sizes, prompts in which rows have less keys than are selected, as many and more,
           // from an empty and from a filled cache; one selected, all but one, more than there are; a sink; DeepSeek's
           // own sizes, decode of one sequence and of several, queries on cached keys.
           "attention batch=2 q_len=9 kv_len=9 capacity=11 heads=6 kv_heads=1 qk_dim=12 v_dim=7 shared_kv=1 selected=4 "
           "scale=0.3 x_type=f32 kv_type=f32 y_type=f32",
           "attention batch=2 q_len=7 kv_len=20 capacity=23 heads=5 kv_heads=1 qk_dim=40 v_dim=40 shared_kv=1 "
           "selected=17 scale=0.2 x_type=f32 kv_type=bf16 y_type=f32",
           "attention batch=3 q_len=1 kv_len=90 capacity=91 heads=3 kv_heads=1 qk_dim=36 v_dim=20 shared_kv=1 "
           "selected=1 scale=0.2 x_type=bf16 kv_type=f32 y_type=f32",
           "attention batch=1 q_len=2 kv_len=41 capacity=41 heads=4 kv_heads=1 qk_dim=24 v_dim=16 shared_kv=1 "
           "selected=40 scale=0.2 x_type=f32 kv_type=f32 y_type=bf16",
           "attention batch=2 q_len=3 kv_len=30 capacity=33 heads=2 kv_heads=1 qk_dim=24 v_dim=16 shared_kv=1 "
           "selected=64 scale=0.2 x_type=f32 kv_type=f32 y_type=f32",
           "attention batch=2 q_len=5 kv_len=50 capacity=52 heads=16 kv_heads=1 qk_dim=96 v_dim=64 shared_kv=1 "
           "sinks=1 selected=33 scale=0.1 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=1 kv_len=700 capacity=704 heads=128 kv_heads=1 qk_dim=576 v_dim=512 shared_kv=1 "
           "selected=256 scale=0.07 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=3 q_len=1 kv_len=331 capacity=340 heads=16 kv_heads=1 qk_dim=576 v_dim=512 shared_kv=1 "
           "selected=100 scale=0.07 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=2 q_len=13 kv_len=71 capacity=73 heads=9 kv_heads=1 qk_dim=576 v_dim=512 shared_kv=1 "
           "selected=64 scale=0.07 x_type=bf16 kv_type=bf16 y_type=bf16",
           "attention batch=1 q_len=20 kv_len=90 capacity=93 heads=4 kv_heads=1 qk_dim=36 v_dim=20 shared_kv=1 "
           "selected=33 scale=0.16 x_type=f32 kv_type=fp8_e4m3 y_type=f32",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef attention_op{"attention",
                         "causal grouped-query attention over the KV cache",
                         keys,
                         tensors,
                         work,
                         tolerance,
                         reference,
                         test_cases,
                         attention_variants,
                         first_shared_column};

}  // namespace layercost
