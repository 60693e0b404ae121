// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/mixture.h"

#include <fmt/format.h>

#include "harness/plan/family.h"
#include "kernels/core/error.h"

namespace layercost {

void mixture(LayerBuilder& b, const Mixture& e, const std::string& x, const std::string& residual,
             const std::string& y) {
  const std::int64_t t = b.tokens(), h = b.model().hidden, f = e.ffn_hidden;
  // Router logits stay f32: rounding them to bf16 would only add ties.
  const std::string logits = b.buffer("logits", BufferRole::activation, DType::f32, {t, e.experts});
  const std::string ids = b.buffer("ids", BufferRole::expert_ids, DType::i32, {t, e.top_k});
  const std::string weights = b.buffer("route_weights", BufferRole::activation, DType::f32, {t, e.top_k});
  const std::string counts = b.buffer("counts", BufferRole::counts, DType::i32, {e.experts});
  b.linear(
      "router", x,
      b.matrix("router_w", {e.experts, h}, {{e.prefix + ".gate.weight", {e.experts, h}}}, b.shape().weights.router),
      logits, e.experts, h, {.y_type = DType::f32});
  OpCase route("moe_route");
  route.set("tokens", t).set("experts", e.experts).set("top_k", e.top_k).set("renormalise", e.renormalise ? 1 : 0);
  std::map<std::string, std::string> bind = {
      {"logits", logits}, {"ids", ids}, {"weights", weights}, {"counts", counts}};
  if (b.shape().forced_routing) {
    route.set("forced", 1);
    bind["forced_ids"] = b.buffer("forced_ids", BufferRole::forced_ids, DType::i32, {t, e.top_k});
  }
  route.set("x_type", DType::f32);
  b.op("route", std::move(route), std::move(bind));

  LayerBuilder::Sources gate_up, down;
  for (std::int64_t i = 0; i < e.experts; ++i) {
    const std::string p = fmt::format("{}.experts.{}.", e.prefix, i);
    gate_up.push_back({p + e.gate + ".weight", {f, h}});
    gate_up.push_back({p + e.up + ".weight", {f, h}});
    down.push_back({p + e.down + ".weight", {h, f}});
  }
  OpCase experts("moe_experts");
  experts.set("tokens", t).set("hidden", h).set("ffn_hidden", f).set("experts", e.experts).set("top_k", e.top_k);
  experts.set("act", "silu");
  b.types(experts);
  const std::string gate_up_w = b.expert_matrices("experts_gate_up", {e.experts, 2 * f, h}, std::move(gate_up)),
                    down_w = b.expert_matrices("experts_down", {e.experts, h, f}, std::move(down));
  if (&b.format_of(gate_up_w) != &b.format_of(down_w))
    throw BadInput(b.model().path, "",
                   fmt::format("the experts' first matrices are in {} and their last in {}; one format for all of an "
                               "expert's is supported",
                               b.format_of(gate_up_w).name, b.format_of(down_w).name));
  experts.set("w_type", b.format_of(gate_up_w).name).set("residual", 1);
  b.op("experts", std::move(experts),
       {{"x", x},
        {"ids", ids},
        {"weights", weights},
        {"w_gate_up", gate_up_w},
        {"w_down", down_w},
        {"residual", residual},
        {"y", y}});
}

std::int64_t read_expert_count(const JsonNode& config, std::string_view usual, std::string_view other) {
  const auto first = config.find_int(usual, 1, kMaxExperts);
  const auto second = config.find_int(other, 1, kMaxExperts);
  if (first && second && *first != *second) {
    config.fail(usual, fmt::format("{} contradicts {} ({})", *first, other, *second));
  }
  if (first) return *first;
  if (second) return *second;
  return config.get_int(usual, 1, kMaxExperts);  // for its message
}

std::int64_t read_top_k(const JsonNode& config, std::int64_t experts) {
  const std::int64_t k = config.get_int("num_experts_per_tok", 1, kMaxExperts);
  if (k > experts) config.fail("num_experts_per_tok", fmt::format("chooses {} of {} experts", k, experts));
  return k;
}

}  // namespace layercost
