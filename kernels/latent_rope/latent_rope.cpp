// SPDX-License-Identifier: Apache-2.0
#include "kernels/latent_rope/latent_rope.h"

#include <algorithm>
#include <cmath>

#include "kernels/contract/rotary_table.h"
#include "kernels/core/error.h"
#include "latent_rope_variants.h"

namespace layercost {

LatentRopeAxes latent_rope_axes(const OpCase& c) {
  const LatentRopeAxes a{.batch = c.axis("batch"),
                         .q_len = c.axis("q_len"),
                         .kv_len = c.axis("kv_len"),
                         .capacity = c.axis("capacity"),
                         .heads = c.axis("heads"),
                         .nope_dim = c.axis("nope_dim"),
                         .rope_dim = c.axis("rope_dim"),
                         .latent_dim = c.axis("latent_dim"),
                         .interleaved = c.flag("interleaved"),
                         .latents = c.flag("latents"),
                         .eps = c.real("eps")};
  const auto expect = [&](bool ok, const char* what) {
    if (!ok) throw BadCase("'" + c.text() + "': expected " + what);
  };
  expect(a.q_len <= a.kv_len && a.kv_len <= a.capacity, "q_len <= kv_len <= capacity");
  expect(a.rope_dim % 2 == 0, "an even rope_dim");
  return a;
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("batch"),
    axis_key("q_len"),
    axis_key("kv_len"),
    axis_key("capacity"),
    axis_key("heads"),
    axis_key("nope_dim"),
    axis_key("rope_dim"),
    axis_key("latent_dim"),
    real_key("eps", 0),
    flag_key("interleaved"),
    flag_key("latents"),
    type_key("x_type", kFloatTypes),
    type_key("y_type", kFloatTypes),
    type_key("kv_type", kFloatTypes),
    type_key("w_type", kFloatTypes),
};

std::vector<TensorSpec> tensors(const OpCase& c) {
  const LatentRopeAxes a = latent_rope_axes(c);
  const DType x = c.type("x_type"), y = c.type("y_type");
  std::vector<TensorSpec> out = {
      {"q", Role::input, x, {a.tokens(), a.heads * a.head_dim()}},
      {"kv", Role::input, x, {a.tokens(), a.entry()}},
      {"norm", Role::weight, c.type("w_type"), {a.latent_dim}, 0.2f, 1.0f},
      cos_table(a.capacity, a.rope_dim / 2),
      sin_table(a.capacity, a.rope_dim / 2),
      {"rotated", Role::output, y, {a.tokens(), a.heads, a.head_dim()}},
      {"latent_cache", Role::updated, c.type("kv_type"), {a.batch, 1, a.capacity, a.entry()}},
  };
  if (a.latents) out.push_back({"latents", Role::output, y, {a.tokens(), a.latent_dim}});
  return out;
}

Work work(const OpCase& c, const WorkFacts&) {
  const LatentRopeAxes a = latent_rope_axes(c);
  const auto bytes = [&](const char* type) { return static_cast<double>(size_of(c.type(type))); };
  const auto tokens = static_cast<double>(a.tokens()), latent = static_cast<double>(a.latent_dim);
  const auto q = static_cast<double>(a.heads * a.head_dim()), entry = static_cast<double>(a.entry());
  Work w;
  w.flops = tokens * (4 * latent + 3 * static_cast<double>((a.heads + 1) * a.rope_dim));
  w.weight_bytes = latent * bytes("w_type");
  w.kv_write_bytes = tokens * entry * bytes("kv_type");
  w.activation_bytes = tokens * ((q + entry) * bytes("x_type") + (q + (a.latents ? latent : 0)) * bytes("y_type")) +
                       static_cast<double>(a.q_len * a.rope_dim) * static_cast<double>(sizeof(float));  // cos and sin
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string& output) {
  return usual_tolerance(c.type(output == "latent_cache" ? "kv_type" : "y_type"), c.axis("latent_dim"));
}

void reference(const OpCase& c, const OpTensors& t) {
  const LatentRopeAxes a = latent_rope_axes(c);
  const Tensor &q = t.tensor("q"), &kv = t.tensor("kv"), &cos = t.tensor("cos"), &sin = t.tensor("sin");
  const Tensor &rotated = t.tensor("rotated"), &cache = t.tensor("latent_cache");
  const OwnedTensor norm = t.weight("norm")->whole();
  const std::int64_t d = a.head_dim();

  const auto rotate = [&](const Tensor& x, std::int64_t from, std::int64_t position, const Tensor& out,
                          std::int64_t to) {
    turn_pairs(
        cos, sin, position, a.interleaved, [&](std::int64_t i) { return x.load(from + i); },
        [&](std::int64_t i, double v) { out.store(to + i, v); });
  };

  for (std::int64_t token = 0; token < a.tokens(); ++token) {
    const std::int64_t from = token * a.entry(), slot = a.slot(token), position = a.position(token);
    double squares = 0;
    for (std::int64_t i = 0; i < a.latent_dim; ++i) squares += kv.load(from + i) * kv.load(from + i);
    const double size = std::sqrt(squares / static_cast<double>(a.latent_dim) + a.eps);
    for (std::int64_t i = 0; i < a.latent_dim; ++i) {
      const double latent = kv.load(from + i) / size * norm.view().load(i);
      cache.store(slot + i, latent);
      if (a.latents) t.tensor("latents").store(token * a.latent_dim + i, latent);
    }
    rotate(kv, from + a.latent_dim, position, cache, slot + a.latent_dim);
    if (t.asked() != nullptr && !std::binary_search(t.asked()->rows.begin(), t.asked()->rows.end(), token)) continue;
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const std::int64_t at = (token * a.heads + h) * d;
      for (std::int64_t i = 0; i < a.nope_dim; ++i) rotated.store(at + i, q.load(at + i));
      rotate(q, at + a.nope_dim, position, rotated, at + a.nope_dim);
    }
  }
}

// Latents and keys of every row go to the cache; queries are each row's own.
std::int64_t first_shared_column(const OpCase&, const std::string& input) {
  return input == "kv" ? 0 : AskedRows::kNone;
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "latent_rope batch=1 q_len=1 kv_len=1 capacity=1 heads=1 nope_dim=1 rope_dim=2 latent_dim=1 eps=1e-06 "
           "x_type=f32 y_type=f32 kv_type=f32 w_type=f32",
           "latent_rope batch=2 q_len=3 kv_len=7 capacity=9 heads=5 nope_dim=12 rope_dim=6 latent_dim=20 eps=0.001 "
           "interleaved=1 latents=1 x_type=f32 y_type=f32 kv_type=f32 w_type=f32",
           "latent_rope batch=3 q_len=1 kv_len=70 capacity=75 heads=16 nope_dim=128 rope_dim=64 latent_dim=512 "
           "eps=1e-06 interleaved=1 x_type=bf16 y_type=bf16 kv_type=bf16 w_type=bf16",
           "latent_rope batch=1 q_len=37 kv_len=37 capacity=40 heads=4 nope_dim=128 rope_dim=64 latent_dim=512 "
           "eps=1e-06 interleaved=1 latents=1 x_type=bf16 y_type=bf16 kv_type=bf16 w_type=bf16",
           "latent_rope batch=2 q_len=2 kv_len=5 capacity=5 heads=3 nope_dim=37 rope_dim=46 latent_dim=90 eps=1e-05 "
           "latents=1 x_type=bf16 y_type=f32 kv_type=bf16 w_type=f32",
           "latent_rope batch=1 q_len=2 kv_len=300 capacity=301 heads=2 nope_dim=64 rope_dim=24 latent_dim=77 eps=0.01 "
           "interleaved=1 x_type=f32 y_type=bf16 kv_type=bf16 w_type=bf16",
           "latent_rope batch=2 q_len=4 kv_len=4 capacity=6 heads=7 nope_dim=24 rope_dim=64 latent_dim=40 eps=0.001 "
           "x_type=bf16 y_type=bf16 kv_type=f32 w_type=bf16",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef latent_rope_op{"latent_rope",
                           "norm and rotation of latent attention, append to the latent cache",
                           keys,
                           tensors,
                           work,
                           tolerance,
                           reference,
                           test_cases,
                           latent_rope_variants,
                           first_shared_column};

}  // namespace layercost
