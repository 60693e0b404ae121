// SPDX-License-Identifier: Apache-2.0
#include "kernels/dsa_index/dsa_index.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "dsa_index_variants.h"
#include "kernels/contract/reference.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"
#include "kernels/core/team.h"

namespace layercost {

DsaIndexAxes dsa_index_axes(const OpCase& c) {
  const DsaIndexAxes a{c.axis("batch"), c.axis("q_len"),    c.axis("kv_len"), c.axis("capacity"),
                       c.axis("heads"), c.axis("head_dim"), c.axis("top_k")};
  if (!(a.q_len <= a.kv_len && a.kv_len <= a.capacity))
    throw BadCase("'" + c.text() + "': expected q_len <= kv_len <= capacity");
  return a;
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("batch"),
    axis_key("q_len"),
    axis_key("kv_len"),
    axis_key("capacity"),
    axis_key("heads"),
    axis_key("head_dim"),
    axis_key("top_k"),
    type_key("x_type", kFloatTypes),
    type_key("kv_type", kFloatTypes),
};

// Whole numbers from -2 to 2, and quarters of them for weights: every sum is exact, so that all ways to add it up make
// the same choice, and equal scores are frequent.
void fill_whole(const Tensor& t, std::uint64_t seed, double unit) {
  for (std::int64_t i = 0; i < t.elements(); ++i)
    t.store(i, unit * (static_cast<double>(uniform_below(hash64(seed, static_cast<std::uint64_t>(i)), 5)) - 2));
}

std::vector<TensorSpec> tensors(const OpCase& c) {
  const DsaIndexAxes a = dsa_index_axes(c);
  const auto whole = [](const Tensor& t, std::uint64_t seed) { fill_whole(t, seed, 1); };
  const auto cache = [n = a.kv_len](const Tensor& t, std::uint64_t seed) {
    fill_whole(t, seed, 1);
    const std::int64_t capacity = t.dim(2), dim = t.dim(3);
    for (std::int64_t b = 0; b < t.dim(0); ++b)
      for (std::int64_t i = n * dim; i < capacity * dim; ++i)
        t.store(b * capacity * dim + i, std::numeric_limits<double>::quiet_NaN());
  };
  return {
      {"q", Role::input, c.type("x_type"), {a.rows(), a.heads, a.head_dim}, 1, 0, whole},
      {"weights",
       Role::input,
       DType::f32,
       {a.rows(), a.heads},
       1,
       0,
       [](const Tensor& t, std::uint64_t seed) { fill_whole(t, seed, 0.25); }},
      {"index_cache", Role::input, c.type("kv_type"), {a.batch, 1, a.capacity, a.head_dim}, 1, 0, cache},
      {"selection", Role::output, DType::i32, {a.rows(), a.top_k}},
  };
}

Work work(const OpCase& c, const WorkFacts&) {
  const DsaIndexAxes a = dsa_index_axes(c);
  const auto heads = static_cast<double>(a.heads), dim = static_cast<double>(a.head_dim);
  const auto rows = static_cast<double>(a.rows()), batch = static_cast<double>(a.batch);
  const DType x = c.type("x_type"), kv = c.type("kv_type");
  double pairs = 0;  // of a sequence, that need a score
  for (std::int64_t i = 0; i < a.q_len; ++i)
    if (a.visible(i) > a.top_k) pairs += static_cast<double>(a.visible(i));
  Work w;
  w.flops = 2 * heads * (dim + 1) * pairs * batch;
  w.products = {{arithmetic_of(x, weight_format(kv)), 2 * heads * dim * pairs * batch}};
  w.activation_bytes = 4 * rows * static_cast<double>(a.top_k);
  if (pairs > 0) {
    w.kv_read_bytes = batch * static_cast<double>(a.kv_len) * dim * static_cast<double>(size_of(kv));
    w.activation_bytes += rows * heads * (dim * static_cast<double>(size_of(x)) + 4);
  }
  return w;
}

Tolerance tolerance(const OpCase&, const std::string&) { return {}; }  // whole numbers are compared as such

// Of one query, visible(row) of them.
std::vector<double> index_scores(const DsaIndexAxes& a, const Tensor& q, const Tensor& weights, const Tensor& cache,
                                 std::int64_t row) {
  std::vector<double> out(static_cast<std::size_t>(a.visible(row)));
  std::vector<double> queries(static_cast<std::size_t>(a.heads * a.head_dim)),
      key(static_cast<std::size_t>(a.head_dim));
  widen(q, row * a.heads * a.head_dim, a.heads * a.head_dim, queries.data());
  for (std::size_t j = 0; j < out.size(); ++j) {
    widen(cache, (a.first_slot(row) + static_cast<std::int64_t>(j)) * a.head_dim, a.head_dim, key.data());
    for (std::int64_t h = 0; h < a.heads; ++h)
      out[j] +=
          weights.load(row * a.heads + h) * std::max(0.0, dot(queries.data() + h * a.head_dim, key.data(), a.head_dim));
  }
  return out;
}

void reference(const OpCase& c, const OpTensors& t) {
  const DsaIndexAxes a = dsa_index_axes(c);
  const Tensor& selection = t.tensor("selection");
  each_piece(a.rows(), [&](int, std::int64_t row, std::int64_t) {
    if (t.asked() != nullptr && !std::binary_search(t.asked()->rows.begin(), t.asked()->rows.end(), row)) return;
    const std::vector<double> scores =
        index_scores(a, t.tensor("q"), t.tensor("weights"), t.tensor("index_cache"), row);
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return scores[i] > scores[j]; });
    order.resize(std::min(order.size(), static_cast<std::size_t>(a.top_k)));
    std::sort(order.begin(), order.end());
    for (std::int64_t i = 0; i < a.top_k; ++i) {
      const auto at = static_cast<std::size_t>(i);
      selection.store(row * a.top_k + i, at < order.size() ? static_cast<double>(order[at]) : -1.0);
    }
  });
}

std::int64_t first_shared_column(const OpCase&, const std::string&) {
  return AskedRows::kNone;
}  // what rows share is in the cache

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "dsa_index batch=1 q_len=1 kv_len=1 capacity=1 heads=1 head_dim=1 top_k=1 x_type=f32 kv_type=f32",
           // one head of two dims: nearly all scores are equal, most of them 0
           "dsa_index batch=2 q_len=1 kv_len=300 capacity=301 heads=1 head_dim=2 top_k=37 x_type=f32 kv_type=f32",
           // prompts: rows with less keys than are chosen, as many, one more
           "dsa_index batch=2 q_len=13 kv_len=13 capacity=15 heads=3 head_dim=7 top_k=5 x_type=f32 kv_type=f32",
           "dsa_index batch=1 q_len=40 kv_len=40 capacity=40 heads=6 head_dim=20 top_k=39 x_type=bf16 kv_type=bf16",
           "dsa_index batch=3 q_len=5 kv_len=5 capacity=7 heads=4 head_dim=8 top_k=5 x_type=bf16 kv_type=bf16",
           "dsa_index batch=1 q_len=3 kv_len=6 capacity=6 heads=2 head_dim=8 top_k=64 x_type=f32 kv_type=bf16",
           "dsa_index batch=1 q_len=70 kv_len=270 capacity=280 heads=9 head_dim=33 top_k=64 x_type=bf16 kv_type=f32",
           // some queries on cached keys, of several sequences
           "dsa_index batch=3 q_len=4 kv_len=131 capacity=140 heads=17 head_dim=24 top_k=1 x_type=f32 kv_type=bf16",
           "dsa_index batch=2 q_len=2 kv_len=95 capacity=97 heads=5 head_dim=90 top_k=94 x_type=f32 kv_type=f32",
           // DeepSeek's and GLM's own sizes; one sequence in several parts, several sequences
           "dsa_index batch=1 q_len=1 kv_len=2500 capacity=2512 heads=64 head_dim=128 top_k=2048 x_type=bf16 "
           "kv_type=bf16",
           "dsa_index batch=3 q_len=1 kv_len=700 capacity=704 heads=32 head_dim=128 top_k=256 x_type=bf16 "
           "kv_type=bf16",
           "dsa_index batch=1 q_len=1 kv_len=4097 capacity=4100 heads=2 head_dim=16 top_k=1000 x_type=bf16 "
           "kv_type=bf16",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef dsa_index_op{"dsa_index",
                         "the keys that a query of sparse attention sees",
                         keys,
                         tensors,
                         work,
                         tolerance,
                         reference,
                         test_cases,
                         dsa_index_variants,
                         first_shared_column};

}  // namespace layercost
