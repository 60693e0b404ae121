// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_experts/moe_chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "kernels/contract/registry.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

enum Step { permute, gate_up, activation, down, combine };

std::array<OpCase, 5> steps_of(const OpCase& c) {
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden"), ffn = c.axis("ffn_hidden");
  const std::int64_t experts = c.axis("experts"), top_k = c.axis("top_k"), rows = tokens * top_k;
  const DType x = c.type("x_type"), y = c.type("y_type");
  const auto product = [&](std::int64_t n, std::int64_t k, const char* format) {
    OpCase p = OpCase("grouped_linear")
                   .set("rows", rows)
                   .set("experts", experts)
                   .set("n", n)
                   .set("k", k)
                   .set("x_type", x)
                   .set("w_type", c.format(format).name)
                   .set("y_type", x);
    if (c.flag("bias")) p.set("bias", 1);
    if (c.has("bias_type")) p.set("bias_type", c.type("bias_type"));
    return p;
  };
  OpCase glu = OpCase("glu").set("tokens", rows).set("ffn_hidden", ffn).set("act", c.word("act", "silu"));
  if (c.has("limit")) glu.set("limit", c.real("limit"));
  glu.set("x_type", x).set("y_type", x);
  OpCase sum = OpCase("moe_combine")
                   .set("tokens", tokens)
                   .set("hidden", hidden)
                   .set("top_k", top_k)
                   .set("x_type", x)
                   .set("y_type", y);
  if (c.flag("residual")) sum.set("residual", 1);
  OpCase rows_of =
      OpCase("moe_permute").set("tokens", tokens).set("hidden", hidden).set("experts", experts).set("top_k", top_k);
  if (c.flag("weigh_input")) rows_of.set("weighted", 1);
  rows_of.set("x_type", x);
  return {
      rows_of, product(2 * ffn, hidden, "w_type"),
      glu,     product(hidden, ffn, c.has("down_type") ? "down_type" : "w_type"),
      sum,
  };
}

struct Chain {
  OwnedTensor rows, offsets, slots, both, h, results, ones;
  std::array<std::unique_ptr<Invocation>, 5> steps;
};

}  // namespace

Support moe_chain_supports(const OpCase& c, const DeviceInfo& device) {
  try {
    for (const OpCase& step : steps_of(c)) default_variant(find_op(step.op()), step, device);
  } catch (const BadCase& e) {
    return Support::no(e.what());
  }
  return Support::yes();
}

std::unique_ptr<Invocation> moe_chain_prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const std::int64_t hidden = c.axis("hidden"), ffn = c.axis("ffn_hidden"), top_k = c.axis("top_k");
  const std::int64_t rows = c.axis("tokens") * top_k;
  const DType x = c.type("x_type");
  auto chain = std::make_shared<Chain>();
  chain->rows = runtime.tensor(x, {rows, hidden});
  chain->offsets = runtime.tensor(DType::i32, {c.axis("experts") + 1});
  chain->slots = runtime.tensor(DType::i32, {c.axis("tokens"), top_k});
  chain->both = runtime.tensor(x, {rows, 2 * ffn});
  chain->h = runtime.tensor(x, {rows, ffn});
  chain->results = runtime.tensor(x, {rows, hidden});

  std::array<OpTensors, 5> bound;
  bound[permute].bind("x", t.tensor("x"));
  bound[permute].bind("ids", t.tensor("ids"));
  bound[permute].bind("y", chain->rows);
  bound[permute].bind("offsets", chain->offsets);
  bound[permute].bind("slots", chain->slots);
  bound[gate_up].bind("x", chain->rows);
  bound[gate_up].bind("offsets", chain->offsets);
  bound[gate_up].bind("w", t.weight("w_gate_up"));
  bound[gate_up].bind("y", chain->both);
  bound[activation].bind("x", chain->both);
  bound[activation].bind("y", chain->h);
  bound[down].bind("x", chain->h);
  bound[down].bind("offsets", chain->offsets);
  bound[down].bind("w", t.weight("w_down"));
  bound[down].bind("y", chain->results);
  bound[combine].bind("x", chain->results);
  bound[combine].bind("slots", chain->slots);
  if (c.flag("weigh_input")) {
    bound[permute].bind("weights", t.tensor("weights"));
    const OwnedTensor ones(DType::f32, {c.axis("tokens"), top_k});
    std::fill_n(ones.view().as<float>(), c.axis("tokens") * top_k, 1.0f);
    chain->ones = runtime.tensor(DType::f32, {c.axis("tokens"), top_k});
    runtime.upload(chain->ones, ones);
    runtime.constant(chain->ones);
    bound[combine].bind("weights", chain->ones);
  } else {
    bound[combine].bind("weights", t.tensor("weights"));
  }
  bound[combine].bind("y", t.tensor("y"));
  if (c.flag("residual")) bound[combine].bind("residual", t.tensor("residual"));
  if (c.flag("bias")) {
    bound[gate_up].bind("bias", t.weight("b_gate_up"));
    bound[down].bind("bias", t.weight("b_down"));
  }

  std::string chosen;
  const auto cases = steps_of(c);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Variant& variant = default_variant(find_op(cases[i].op()), cases[i], runtime.device());
    chain->steps[i] = variant.prepare(cases[i], bound[i], runtime);
    const std::string detail = chain->steps[i]->chosen();
    chosen += fmt::format("{}{} {}{}", i == 0 ? "" : "; ", cases[i].op(), variant.name,
                          detail.empty() ? "" : " (" + detail + ")");
  }
  return invocation(
      [chain] {
        for (const auto& step : chain->steps) step->run();
      },
      chosen);
}

}  // namespace layercost
