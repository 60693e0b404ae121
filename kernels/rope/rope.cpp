// SPDX-License-Identifier: Apache-2.0
#include "kernels/rope/rope.h"

#include <algorithm>
#include <cmath>

#include "kernels/contract/reference.h"
#include "kernels/contract/rotary_table.h"
#include "kernels/core/error.h"
#include "rope_variants.h"

namespace layercost {

namespace {

constexpr std::string_view kNorms[] = {"0", "1", "whole", "after", "bare"};  // in the order of QkNorm

}  // namespace

RopeAxes rope_axes(const OpCase& c) {
  const auto norm = std::find(std::begin(kNorms), std::end(kNorms), c.word("qk_norm", "0"));
  if (norm == std::end(kNorms)) throw BadCase("'" + c.text() + "': qk_norm must be 0, 1, whole, after or bare");
  RopeAxes a{.batch = c.axis("batch"),
             .q_len = c.axis("q_len"),
             .kv_len = c.axis("kv_len"),
             .capacity = c.axis("capacity"),
             .heads = c.axis("heads"),
             .kv_heads = c.axis("kv_heads"),
             .head_dim = c.axis("head_dim"),
             .rotary_dims = c.integer("rotary_dims", c.axis("head_dim")),
             .interleaved = c.flag("interleaved"),
             .qk_norm = static_cast<QkNorm>(norm - std::begin(kNorms)),
             .eps = 0.0,
             .v_norm = c.flag("v_norm"),
             .v_from_k = c.flag("v_from_k"),
             .q_scale = c.flag("q_scale")};
  if (a.has_norm()) a.eps = c.real("eps");
  const auto expect = [&](bool ok, const char* what) {
    if (!ok) throw BadCase("'" + c.text() + "': expected " + what);
  };
  expect(a.q_len <= a.kv_len && a.kv_len <= a.capacity, "q_len <= kv_len <= capacity");
  expect(a.heads % a.kv_heads == 0, "kv_heads to divide heads");
  expect(a.head_dim % 2 == 0, "an even head_dim");
  expect((!a.v_norm && !a.v_from_k) || (a.has_norm() && a.qk_norm != QkNorm::whole),
         "a norm of each head of q and k beside v_norm and v_from_k");
  expect(a.rotary_dims % 2 == 0 && a.rotary_dims <= a.head_dim, "an even rotary_dims of at most head_dim");
  return a;
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("batch"),
    axis_key("q_len"),
    axis_key("kv_len"),
    axis_key("capacity"),
    axis_key("heads"),
    axis_key("kv_heads"),
    axis_key("head_dim"),
    integer_key("rotary_dims", 2).optional(),  // head_dim
    flag_key("interleaved"),
    word_key("qk_norm", kNorms).or_else("0"),
    real_key("eps", 0).only_beside("qk_norm"),
    flag_key("v_norm"),
    flag_key("v_from_k"),
    flag_key("q_scale"),
    type_key("x_type", kFloatTypes),
    type_key("y_type", kFloatTypes),
    type_key("kv_type", kCacheTypes),
    type_key("w_type", kFloatTypes),
};

std::vector<TensorSpec> tensors(const OpCase& c) {
  const RopeAxes a = rope_axes(c);
  const DType kv = c.type("kv_type"), w = c.type("w_type");
  const Shape cache = {a.batch, a.kv_heads, a.capacity, a.head_dim};
  std::vector<TensorSpec> out = {
      {"qkv", Role::input, c.type("x_type"), {a.tokens(), a.row_heads() * a.head_dim}},
      cos_table(a.capacity, a.rotary_dims / 2),
      sin_table(a.capacity, a.rotary_dims / 2),
      {"q", Role::output, c.type("y_type"), {a.tokens(), a.heads, a.head_dim}},
      {"k_cache", Role::updated, kv, cache},
      {"v_cache", Role::updated, kv, cache},
  };
  if (a.q_scale) out.push_back({"q_scale", Role::input, DType::f32, {a.capacity}, 0.2f, 1.0f});
  if (a.has_norm_weights()) {
    const bool whole = a.qk_norm == QkNorm::whole;
    out.push_back({"q_norm", Role::weight, w, {whole ? a.heads * a.head_dim : a.head_dim}, 0.2f, 1.0f});
    out.push_back({"k_norm", Role::weight, w, {whole ? a.kv_heads * a.head_dim : a.head_dim}, 0.2f, 1.0f});
  }
  return out;
}

Work work(const OpCase& c, const WorkFacts&) {
  const RopeAxes a = rope_axes(c);
  const auto bytes = [&](const char* type) { return static_cast<double>(size_of(c.type(type))); };
  const auto d = static_cast<double>(a.head_dim), r = static_cast<double>(a.rotary_dims);
  const auto tokens = static_cast<double>(a.tokens());
  const double q = tokens * static_cast<double>(a.heads) * d, k = tokens * static_cast<double>(a.kv_heads) * d;
  Work w;
  const double norm = a.has_norm_weights() ? 4 * d : a.has_norm() ? 3 * d : 0;
  w.flops = tokens * static_cast<double>(a.heads + a.kv_heads) * (3 * r + norm) + (a.v_norm ? 3 * k : 0) +
            (a.q_scale ? q : 0);
  const double normed = a.qk_norm == QkNorm::whole ? static_cast<double>(a.heads + a.kv_heads) : 2;
  w.weight_bytes = a.has_norm_weights() ? normed * d * bytes("w_type") : 0;
  w.kv_write_bytes = 2 * k * bytes("kv_type");
  w.activation_bytes =
      (q + (a.v_from_k ? 1 : 2) * k) * bytes("x_type") + q * bytes("y_type") +
      static_cast<double>(a.q_len) * (r + (a.q_scale ? 1 : 0)) * static_cast<double>(sizeof(float));  // the tables
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string& output) {
  const RopeAxes a = rope_axes(c);
  const std::int64_t heads = output == "q" ? a.heads : a.kv_heads;
  return usual_tolerance(c.type(output == "q" ? "y_type" : "kv_type"),
                         a.qk_norm == QkNorm::whole ? heads * a.head_dim : a.head_dim);
}

void reference(const OpCase& c, const OpTensors& t) {
  const RopeAxes a = rope_axes(c);
  const std::int64_t d = a.head_dim, row = a.row_heads() * d;
  const Tensor &qkv = t.tensor("qkv"), &cos = t.tensor("cos"), &sin = t.tensor("sin");
  const Tensor &q = t.tensor("q"), &k_cache = t.tensor("k_cache"), &v_cache = t.tensor("v_cache");
  const OwnedTensor q_norm = a.has_norm_weights() ? t.weight("q_norm")->whole() : OwnedTensor();
  const OwnedTensor k_norm = a.has_norm_weights() ? t.weight("k_norm")->whole() : OwnedTensor();

  const auto cache = [&, type = c.type("kv_type")](const Tensor& out, std::int64_t token) {
    return [&a, &out, token, type](std::int64_t h, std::int64_t i, double v) {
      out.store(a.slot(token, h) + i, as_cached(type, v));
    };
  };
  // `heads` of them from element `in` of qkv on; put(head, element, value).
  const auto rotate = [&](std::int64_t in, std::int64_t heads, std::int64_t position, const OwnedTensor& norm,
                          const auto& put) {
    std::vector<double> x(static_cast<std::size_t>(heads * d));
    for (std::int64_t i = 0; i < heads * d; ++i) x[i] = qkv.load(in + i);
    const auto normalise = [&](std::int64_t n) {  // each n of them
      for (std::int64_t first = 0; first < heads * d; first += n) {
        double squares = 0;
        for (std::int64_t i = first; i < first + n; ++i) squares += x[i] * x[i];
        for (std::int64_t i = first; i < first + n; ++i)
          x[i] = x[i] / std::sqrt(squares / static_cast<double>(n) + a.eps) *
                 (a.has_norm_weights() ? norm.view().load(i - first) : 1.0);
      }
    };
    if (a.qk_norm == QkNorm::head) normalise(d);
    if (a.qk_norm == QkNorm::whole) normalise(heads * d);
    for (std::int64_t h = 0; h < heads; ++h)
      turn_pairs(
          cos, sin, position, a.interleaved, [&](std::int64_t i) { return x[h * d + i]; },
          [&](std::int64_t i, double v) { x[h * d + i] = v; });
    if (a.norms_turned()) normalise(d);
    for (std::int64_t h = 0; h < heads; ++h)
      for (std::int64_t i = 0; i < d; ++i) put(h, i, x[h * d + i]);
  };

  for (std::int64_t token = 0; token < a.tokens(); ++token) {
    const std::int64_t first_k = token * row + a.heads * d, first_v = token * row + a.v_source(0) * d;
    const double q_scale = a.q_scale ? t.tensor("q_scale").load(a.position(token)) : 1.0;
    const bool with_q =
        t.asked() == nullptr || std::binary_search(t.asked()->rows.begin(), t.asked()->rows.end(), token);
    if (with_q)
      rotate(token * row, a.heads, a.position(token), q_norm,
             [&](std::int64_t h, std::int64_t i, double v) { q.store((token * a.heads + h) * d + i, v * q_scale); });
    rotate(first_k, a.kv_heads, a.position(token), k_norm, cache(k_cache, token));
    for (std::int64_t h = 0; h < a.kv_heads; ++h) {
      double squares = 0;
      for (std::int64_t i = 0; i < d; ++i) squares += qkv.load(first_v + h * d + i) * qkv.load(first_v + h * d + i);
      const double length = a.v_norm ? std::sqrt(squares / static_cast<double>(d) + a.eps) : 1.0;
      for (std::int64_t i = 0; i < d; ++i) cache(v_cache, token)(h, i, qkv.load(first_v + h * d + i) / length);
    }
  }
}

// Keys and values of every row go to the cache; the queries before them are each row's own.
std::int64_t first_shared_column(const OpCase& c, const std::string&) { return c.axis("heads") * c.axis("head_dim"); }

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           // caches in fp8: halves and neighbours, lanes that do not fill a vector
           "rope batch=2 q_len=3 kv_len=9 capacity=12 heads=4 kv_heads=2 head_dim=64 x_type=bf16 y_type=bf16 "
           "kv_type=fp8_e4m3 w_type=bf16",
           "rope batch=1 q_len=5 kv_len=5 capacity=6 heads=3 kv_heads=1 head_dim=40 rotary_dims=24 interleaved=1 "
           "qk_norm=1 eps=1e-06 x_type=f32 y_type=f32 kv_type=fp8_e4m3 w_type=f32",
           "rope batch=1 q_len=1 kv_len=1 capacity=1 heads=1 kv_heads=1 head_dim=2 x_type=f32 y_type=f32 kv_type=f32 "
           "w_type=f32",
           "rope batch=2 q_len=3 kv_len=7 capacity=9 heads=6 kv_heads=2 head_dim=12 qk_norm=1 eps=0.001 x_type=f32 "
           "y_type=f32 kv_type=f32 w_type=f32",
           "rope batch=3 q_len=1 kv_len=70 capacity=75 heads=8 kv_heads=1 head_dim=128 x_type=bf16 y_type=bf16 "
           "kv_type=bf16 w_type=bf16",
           "rope batch=1 q_len=37 kv_len=37 capacity=64 heads=5 kv_heads=5 head_dim=128 qk_norm=1 eps=1e-06 "
           "x_type=bf16 y_type=bf16 kv_type=bf16 w_type=bf16",
           "rope batch=2 q_len=5 kv_len=11 capacity=11 heads=14 kv_heads=7 head_dim=90 qk_norm=1 eps=1e-05 x_type=bf16 "
           "y_type=f32 kv_type=bf16 w_type=f32",
           "rope batch=1 q_len=2 kv_len=300 capacity=301 heads=4 kv_heads=2 head_dim=64 x_type=f32 y_type=bf16 "
           "kv_type=bf16 w_type=bf16",
           "rope batch=2 q_len=2 kv_len=5 capacity=6 heads=3 kv_heads=3 head_dim=64 qk_norm=1 eps=0.001 x_type=bf16 "
           "y_type=f32 kv_type=f32 w_type=f32",
           "rope batch=1 q_len=3 kv_len=8 capacity=9 heads=2 kv_heads=1 head_dim=512 qk_norm=1 eps=1e-05 x_type=f32 "
           "y_type=f32 kv_type=f32 w_type=bf16",
           "rope batch=3 q_len=1 kv_len=4 capacity=5 heads=2 kv_heads=2 head_dim=16 qk_norm=1 eps=0.01 x_type=f32 "
           "y_type=bf16 kv_type=f32 w_type=f32",
           // Part of a head, as in GLM-4.5 and MiniMax-M2 (64 of 128), and parts in which vectors do not come out even.
           "rope batch=2 q_len=1 kv_len=9 capacity=10 heads=6 kv_heads=2 head_dim=128 rotary_dims=64 qk_norm=1 "
           "eps=1e-05 x_type=bf16 y_type=bf16 kv_type=bf16 w_type=bf16",
           "rope batch=1 q_len=5 kv_len=7 capacity=8 heads=3 kv_heads=1 head_dim=64 rotary_dims=24 x_type=f32 "
           "y_type=f32 kv_type=f32 w_type=f32",
           "rope batch=2 q_len=3 kv_len=5 capacity=5 heads=2 kv_heads=2 head_dim=90 rotary_dims=46 qk_norm=1 eps=0.001 "
           "x_type=f32 y_type=bf16 kv_type=f32 w_type=f32",
           "rope batch=1 q_len=2 kv_len=4 capacity=6 heads=4 kv_heads=1 head_dim=256 rotary_dims=64 x_type=f32 "
           "y_type=f32 kv_type=bf16 w_type=f32",
           // Neighbours, as in DeepSeek and Ernie.
           "rope batch=2 q_len=2 kv_len=6 capacity=7 heads=4 kv_heads=2 head_dim=64 interleaved=1 x_type=bf16 "
           "y_type=bf16 kv_type=bf16 w_type=bf16",
           "rope batch=1 q_len=3 kv_len=3 capacity=4 heads=3 kv_heads=3 head_dim=128 interleaved=1 qk_norm=1 eps=0.001 "
           "x_type=f32 y_type=f32 kv_type=bf16 w_type=f32",
           "rope batch=2 q_len=1 kv_len=5 capacity=5 heads=2 kv_heads=1 head_dim=90 interleaved=1 qk_norm=1 eps=1e-05 "
           "x_type=bf16 y_type=f32 kv_type=bf16 w_type=bf16",
           // Both.
           "rope batch=3 q_len=1 kv_len=8 capacity=9 heads=8 kv_heads=2 head_dim=128 rotary_dims=64 interleaved=1 "
           "qk_norm=1 eps=1e-05 x_type=bf16 y_type=bf16 kv_type=bf16 w_type=bf16",
           "rope batch=1 q_len=4 kv_len=9 capacity=9 heads=2 kv_heads=1 head_dim=64 rotary_dims=24 interleaved=1 "
           "x_type=f32 y_type=f32 kv_type=f32 w_type=f32",
           "rope batch=2 q_len=2 kv_len=3 capacity=4 heads=3 kv_heads=1 head_dim=192 rotary_dims=64 interleaved=1 "
           "qk_norm=1 eps=0.001 x_type=f32 y_type=f32 kv_type=f32 w_type=bf16",
           // One norm over all heads, as in OLMoE (whole heads) and MiniMax-M2 (half of each).
           "rope batch=2 q_len=1 kv_len=9 capacity=10 heads=6 kv_heads=2 head_dim=128 rotary_dims=64 qk_norm=whole "
           "eps=1e-05 x_type=bf16 y_type=bf16 kv_type=bf16 w_type=bf16",
           "rope batch=1 q_len=5 kv_len=7 capacity=8 heads=4 kv_heads=4 head_dim=64 qk_norm=whole eps=0.001 x_type=f32 "
           "y_type=f32 kv_type=f32 w_type=f32",
           "rope batch=2 q_len=3 kv_len=3 capacity=5 heads=6 kv_heads=2 head_dim=90 rotary_dims=46 qk_norm=whole "
           "eps=0.001 x_type=f32 y_type=bf16 kv_type=f32 w_type=f32",
           "rope batch=1 q_len=2 kv_len=3 capacity=4 heads=10 kv_heads=5 head_dim=32 interleaved=1 qk_norm=whole "
           "eps=0.01 x_type=bf16 y_type=f32 kv_type=bf16 w_type=f32",
           "rope batch=1 q_len=2 kv_len=3 capacity=3 heads=24 kv_heads=12 head_dim=256 rotary_dims=64 qk_norm=whole "
           "eps=0.001 x_type=f32 y_type=f32 kv_type=bf16 w_type=f32",
           // Each head after it is turned, as in Hunyuan.
           "rope batch=2 q_len=1 kv_len=9 capacity=10 heads=8 kv_heads=2 head_dim=128 qk_norm=after eps=1e-05 "
           "x_type=bf16 y_type=bf16 kv_type=bf16 w_type=bf16",
           "rope batch=1 q_len=5 kv_len=7 capacity=8 heads=3 kv_heads=1 head_dim=64 rotary_dims=24 qk_norm=after "
           "eps=0.001 x_type=f32 y_type=f32 kv_type=f32 w_type=f32",
           "rope batch=1 q_len=3 kv_len=4 capacity=5 heads=4 kv_heads=2 head_dim=64 rotary_dims=32 interleaved=1 "
           "qk_norm=after eps=0.01 x_type=bf16 y_type=f32 kv_type=bf16 w_type=f32",
           "rope batch=2 q_len=2 kv_len=3 capacity=3 heads=2 kv_heads=2 head_dim=90 rotary_dims=46 interleaved=1 "
           "qk_norm=after eps=0.001 x_type=f32 y_type=bf16 kv_type=f32 w_type=f32",
           "rope batch=1 q_len=2 kv_len=5 capacity=6 heads=2 kv_heads=1 head_dim=44 qk_norm=after eps=0.001 x_type=f32 "
           "y_type=f32 kv_type=bf16 w_type=bf16",
           // After the rotation without weights, as in Llama 4; a temperature of queries, beside every kind of norm.
           "rope batch=2 q_len=1 kv_len=9 capacity=10 heads=8 kv_heads=2 head_dim=128 interleaved=1 qk_norm=bare "
           "eps=1e-05 x_type=bf16 y_type=bf16 kv_type=bf16 w_type=bf16",
           "rope batch=1 q_len=5 kv_len=7 capacity=8 heads=3 kv_heads=1 head_dim=64 rotary_dims=24 qk_norm=bare "
           "eps=0.001 q_scale=1 x_type=f32 y_type=f32 kv_type=f32 w_type=f32",
           "rope batch=2 q_len=3 kv_len=7 capacity=9 heads=4 kv_heads=2 head_dim=44 interleaved=1 qk_norm=bare "
           "eps=0.01 "
           "x_type=bf16 y_type=f32 kv_type=fp8_e4m3 w_type=f32",
           "rope batch=2 q_len=3 kv_len=7 capacity=9 heads=8 kv_heads=2 head_dim=128 q_scale=1 x_type=bf16 "
           "y_type=bf16 kv_type=bf16 w_type=bf16",
           "rope batch=2 q_len=2 kv_len=5 capacity=6 heads=3 kv_heads=1 head_dim=90 rotary_dims=2 interleaved=1 "
           "q_scale=1 x_type=f32 y_type=f32 kv_type=f32 w_type=f32",
           "rope batch=1 q_len=4 kv_len=6 capacity=6 heads=4 kv_heads=2 head_dim=64 qk_norm=1 eps=0.001 q_scale=1 "
           "x_type=bf16 y_type=f32 kv_type=bf16 w_type=f32",
           "rope batch=2 q_len=2 kv_len=3 capacity=5 heads=6 kv_heads=2 head_dim=32 qk_norm=whole eps=0.001 q_scale=1 "
           "x_type=f32 y_type=f32 kv_type=f32 w_type=f32",
           "rope batch=1 q_len=3 kv_len=4 capacity=4 heads=3 kv_heads=3 head_dim=90 qk_norm=after eps=0.001 q_scale=1 "
           "x_type=f32 y_type=bf16 kv_type=f32 w_type=f32",
           // Normed values, and keys that are values too, as in Gemma 4.
           "rope batch=2 q_len=1 kv_len=9 capacity=10 heads=8 kv_heads=4 head_dim=256 qk_norm=1 eps=1e-06 v_norm=1 "
           "x_type=bf16 y_type=bf16 kv_type=bf16 w_type=bf16",
           "rope batch=2 q_len=3 kv_len=5 capacity=6 heads=8 kv_heads=2 head_dim=512 qk_norm=1 eps=1e-06 v_norm=1 "
           "v_from_k=1 x_type=bf16 y_type=bf16 kv_type=bf16 w_type=bf16",
           "rope batch=1 q_len=5 kv_len=7 capacity=8 heads=4 kv_heads=2 head_dim=44 rotary_dims=12 qk_norm=1 eps=0.01 "
           "v_norm=1 v_from_k=1 x_type=f32 y_type=f32 kv_type=f32 w_type=f32",
           "rope batch=2 q_len=2 kv_len=3 capacity=4 heads=3 kv_heads=3 head_dim=64 interleaved=1 qk_norm=after "
           "eps=0.01 "
           "v_from_k=1 x_type=f32 y_type=bf16 kv_type=fp8_e4m3 w_type=bf16",
           // The whole head, said in words.
           "rope batch=1 q_len=2 kv_len=3 capacity=3 heads=2 kv_heads=1 head_dim=32 rotary_dims=32 interleaved=0 "
           "x_type=bf16 y_type=bf16 kv_type=bf16 w_type=bf16",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef rope_op{"rope",        "rotary embedding of q and k, optional q/k norm, append to the KV cache",
                    keys,          tensors,
                    work,          tolerance,
                    reference,     test_cases,
                    rope_variants, first_shared_column};

}  // namespace layercost
