// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_permute/moe_permute.h"

#include "kernels/contract/expert_ids.h"
#include "kernels/core/error.h"
#include "moe_permute_variants.h"

namespace layercost {
namespace {

constexpr KnownKey keys[] = {
    axis_key("tokens"), axis_key("hidden"),   axis_key("experts"),
    axis_key("top_k"),  flag_key("weighted"), type_key("x_type", kFloatTypes),
};

std::vector<TensorSpec> tensors(const OpCase& c) {
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden"), experts = c.axis("experts"),
                     top_k = c.axis("top_k");
  if (top_k > experts) throw BadCase("'" + c.text() + "': top_k is larger than experts");
  const DType x = c.type("x_type");
  std::vector<TensorSpec> out = {
      {"x", Role::input, x, {tokens, hidden}},
      {.name = "ids",
       .role = Role::input,
       .dtype = DType::i32,
       .shape = {tokens, top_k},
       .fill = fill_expert_ids(experts)},
      {"y", Role::output, x, {tokens * top_k, hidden}},
      {"offsets", Role::output, DType::i32, {experts + 1}},
      {"slots", Role::output, DType::i32, {tokens, top_k}},
  };
  if (c.flag("weighted")) out.push_back({"weights", Role::input, DType::f32, {tokens, top_k}, 0.3f, 0.7f});
  return out;
}

Work work(const OpCase& c, const WorkFacts&) {
  const auto tokens = static_cast<double>(c.axis("tokens")), hidden = static_cast<double>(c.axis("hidden"));
  const auto top_k = static_cast<double>(c.axis("top_k")), experts = static_cast<double>(c.axis("experts"));
  Work w;
  w.activation_bytes = tokens * hidden * (1 + top_k) * static_cast<double>(size_of(c.type("x_type"))) +
                       4 * ((c.flag("weighted") ? 3 : 2) * tokens * top_k + experts + 1);
  if (c.flag("weighted")) w.flops = tokens * top_k * hidden;
  return w;
}

Tolerance tolerance(const OpCase& c, const std::string& output) {
  return c.flag("weighted") && output == "y" ? usual_tolerance(c.type("x_type"), 1) : Tolerance{};
}

void reference(const OpCase& c, const OpTensors& t) {
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden"), experts = c.axis("experts"),
                     top_k = c.axis("top_k");
  const Tensor &x = t.tensor("x"), &ids = t.tensor("ids"), &y = t.tensor("y");
  std::int64_t row = 0;
  for (std::int64_t e = 0; e < experts; ++e) {
    t.tensor("offsets").store(e, static_cast<double>(row));
    for (std::int64_t pair = 0; pair < tokens * top_k; ++pair) {
      if (ids.as<std::int32_t>()[pair] != e) continue;
      t.tensor("slots").store(pair, static_cast<double>(row));
      const double weight = c.flag("weighted") ? t.tensor("weights").load(pair) : 1.0;
      for (std::int64_t h = 0; h < hidden; ++h) y.store(row * hidden + h, x.load(pair / top_k * hidden + h) * weight);
      ++row;
    }
  }
  t.tensor("offsets").store(experts, static_cast<double>(row));
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> out;
  for (const char* text : {
           "moe_permute tokens=1 hidden=1 experts=1 top_k=1 x_type=f32",
           "moe_permute tokens=5 hidden=37 experts=7 top_k=3 x_type=f32",
           "moe_permute tokens=1 hidden=2048 experts=128 top_k=8 x_type=bf16",
           "moe_permute tokens=33 hidden=515 experts=6 top_k=6 x_type=bf16",
           "moe_permute tokens=150 hidden=130 experts=64 top_k=4 x_type=bf16",
           "moe_permute tokens=3 hidden=2100 experts=300 top_k=260 x_type=bf16",
           "moe_permute tokens=700 hidden=8 experts=3 top_k=3 x_type=bf16",
           "moe_permute tokens=515 hidden=9 experts=128 top_k=8 x_type=bf16",
           "moe_permute tokens=5 hidden=1100 experts=600 top_k=300 x_type=f32",
           "moe_permute tokens=2 hidden=132 experts=5 top_k=2 x_type=bf16",
           // Llama 4: experts see the token times its weight. One launch and three, every unit of a row.
           "moe_permute tokens=5 hidden=37 experts=7 top_k=3 weighted=1 x_type=f32",
           "moe_permute tokens=3 hidden=520 experts=16 top_k=1 weighted=1 x_type=bf16",
           "moe_permute tokens=4 hidden=130 experts=6 top_k=2 weighted=1 x_type=bf16",
           "moe_permute tokens=2 hidden=37 experts=4 top_k=2 weighted=1 x_type=bf16",
           "moe_permute tokens=700 hidden=8 experts=3 top_k=2 weighted=1 x_type=f32",
       })
    out.push_back(OpCase::parse(text));
  return out;
}

}  // namespace

const OpDef moe_permute_op{
    "moe_permute",       "token rows gathered by expert", keys, tensors, work, tolerance, reference, test_cases,
    moe_permute_variants};

}  // namespace layercost
