// SPDX-License-Identifier: Apache-2.0
#include "kernels/latent_expand/latent_expand.h"

#include <limits>

#include "kernels/core/error.h"
#include "kernels/core/random.h"
#include "latent_expand_variants.h"

namespace layercost {

LatentExpandAxes latent_expand_axes(const OpCase& c) {
  const LatentExpandAxes a{c.axis("batch"),    c.axis("kv_len"),   c.axis("capacity"), c.axis("heads"),
                           c.axis("nope_dim"), c.axis("rope_dim"), c.axis("v_dim"),    c.axis("latent_dim")};
  if (a.kv_len > a.capacity) throw BadCase("'" + c.text() + "': expected kv_len <= capacity");
  return a;
}

namespace {

constexpr KnownKey keys[] = {
    axis_key("batch"),
    axis_key("kv_len"),
    axis_key("capacity"),
    axis_key("heads"),
    axis_key("nope_dim"),
    axis_key("rope_dim"),
    axis_key("v_dim"),
    axis_key("latent_dim"),
    type_key("x_type", kFloatTypes),
    type_key("kv_type", kFloatTypes),
    type_key("y_type", kFloatTypes),
};

// Normal values, and NaN in what is not read: the latents, and slots that hold no entry yet.
void fill_cache(const Tensor& t, std::uint64_t seed, const LatentExpandAxes& a) {
  fill_normal(t, seed);
  const std::int64_t entry = a.latent_dim + a.rope_dim;
  for (std::int64_t i = 0; i < t.elements(); ++i)
    if (i / entry % a.capacity >= a.kv_len || i % entry < a.latent_dim)
      t.store(i, std::numeric_limits<double>::quiet_NaN());
}

std::vector<TensorSpec> tensors(const OpCase& c) {
  const LatentExpandAxes a = latent_expand_axes(c);
  const DType y = c.type("y_type");
  return {
      {"expanded", Role::input, c.type("x_type"), {a.tokens(), a.heads * (a.nope_dim + a.v_dim)}},
      {"cache",
       Role::input,
       c.type("kv_type"),
       {a.batch, 1, a.capacity, a.latent_dim + a.rope_dim},
       1,
       0,
       [a](const Tensor& t, std::uint64_t seed) { fill_cache(t, seed, a); }},
      {"k", Role::output, y, {a.batch, a.heads, a.kv_len, a.nope_dim + a.rope_dim}},
      {"v", Role::output, y, {a.batch, a.heads, a.kv_len, a.v_dim}},
  };
}

Work work(const OpCase& c, const WorkFacts&) {
  const LatentExpandAxes a = latent_expand_axes(c);
  const auto bytes = [&](const char* type) { return static_cast<double>(size_of(c.type(type))); };
  const auto tokens = static_cast<double>(a.tokens()), heads = static_cast<double>(a.heads);
  Work w;
  w.activation_bytes = tokens * (heads * static_cast<double>(a.nope_dim + a.v_dim) * bytes("x_type") +
                                 static_cast<double>(a.rope_dim) * bytes("kv_type") +
                                 heads * static_cast<double>(a.nope_dim + a.rope_dim + a.v_dim) * bytes("y_type"));
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string&) { return usual_tolerance(c.type("y_type"), 1); }

void reference(const OpCase& c, const OpTensors& t) {
  const LatentExpandAxes a = latent_expand_axes(c);
  const Tensor &x = t.tensor("expanded"), &cache = t.tensor("cache"), &k = t.tensor("k"), &v = t.tensor("v");
  for (std::int64_t token = 0; token < a.tokens(); ++token)
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const std::int64_t key = a.place(token, h) * (a.nope_dim + a.rope_dim), value = a.place(token, h) * a.v_dim;
      for (std::int64_t i = 0; i < a.nope_dim; ++i) k.store(key + i, x.load(a.from(token, h) + i));
      for (std::int64_t i = 0; i < a.rope_dim; ++i) k.store(key + a.nope_dim + i, cache.load(a.shared_key(token) + i));
      for (std::int64_t i = 0; i < a.v_dim; ++i) v.store(value + i, x.load(a.from(token, h) + a.nope_dim + i));
    }
}

std::int64_t first_shared_column(const OpCase&, const std::string&) { return 0; }  // keys and values of every row

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "latent_expand batch=1 kv_len=1 capacity=1 heads=1 nope_dim=1 rope_dim=1 v_dim=1 latent_dim=1 x_type=f32 "
           "kv_type=f32 y_type=f32",
           "latent_expand batch=2 kv_len=5 capacity=7 heads=3 nope_dim=12 rope_dim=6 v_dim=10 latent_dim=20 x_type=f32 "
           "kv_type=f32 y_type=f32",
           "latent_expand batch=2 kv_len=37 capacity=37 heads=4 nope_dim=128 rope_dim=64 v_dim=128 latent_dim=512 "
           "x_type=bf16 kv_type=bf16 y_type=bf16",
           "latent_expand batch=1 kv_len=9 capacity=12 heads=16 nope_dim=37 rope_dim=22 v_dim=77 latent_dim=33 "
           "x_type=bf16 kv_type=f32 y_type=f32",
           "latent_expand batch=3 kv_len=2 capacity=3 heads=2 nope_dim=16 rope_dim=8 v_dim=24 latent_dim=40 x_type=f32 "
           "kv_type=bf16 y_type=bf16",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef latent_expand_op{"latent_expand",
                             "keys and values of all heads from expanded latents",
                             keys,
                             tensors,
                             work,
                             tolerance,
                             reference,
                             test_cases,
                             latent_expand_variants,
                             first_shared_column};

}  // namespace layercost
