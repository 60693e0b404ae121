// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/blocks/mixture.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "harness/plan/blocks/dense_mlp.h"
#include "harness/plan/family.h"
#include "kernels/core/error.h"

namespace layercost {

void mixture(LayerBuilder& b, const Mixture& e, const std::string& x, const std::string& residual, const std::string& y,
             const std::string& router_x) {
  // Devices that share the experts have them whole.
  const bool cut = b.model().devices == 1;
  const LayerBuilder::Part part =
      cut ? b.part_of(e.ffn_hidden, "columns of an expert") : LayerBuilder::Part{0, e.ffn_hidden};
  const std::int64_t t = b.tokens(), h = b.model().hidden, f = part.count, all = e.ffn_hidden;
  if (cut || e.shared_ffn > 0) b.partial_sum();
  // Router logits stay f32: rounding them to bf16 would only add ties.
  const std::string logits = b.buffer("logits", BufferRole::activation, DType::f32, {t, e.experts});
  const std::string ids = b.buffer("ids", BufferRole::expert_ids, DType::i32, {t, e.top_k});
  const std::string weights = b.buffer("route_weights", BufferRole::activation, DType::f32, {t, e.top_k});
  const std::string counts = b.buffer("counts", BufferRole::counts, DType::i32, {e.experts});
  const std::string below = e.prefix.empty() ? "" : e.prefix + ".", router = below + e.router + ".";
  LinearOptions router_options{.y_type = DType::f32};
  if (e.router_bias) router_options.bias = b.bias("router_bias", {{router + "bias", {e.experts}}});
  b.linear("router", router_x.empty() ? x : router_x,
           b.matrix("router_w", {e.experts, h}, {{router + "weight", {e.experts, h}}}, b.shape().weights.router),
           logits, e.experts, h, router_options);
  OpCase route("moe_route");
  route.set("tokens", t).set("experts", e.experts).set("top_k", e.top_k).set("renormalise", e.renormalise ? 1 : 0);
  if (e.sigmoid) route.set("score", "sigmoid");
  if (e.groups > 1) {
    route.set("groups", e.groups).set("top_groups", e.top_groups);
    if (e.group_by_best) route.set("group_score", "max");
  }
  if (e.scaling != 1) route.set("scaling", e.scaling);
  std::map<std::string, std::string> bind = {
      {"logits", logits}, {"ids", ids}, {"weights", weights}, {"counts", counts}};
  if (e.correction_bias) {
    route.set("bias", 1);
    bind["bias"] = b.f32_vector("correction_bias", e.experts, below + e.correction, e.correction_is_row);
  }
  if (!e.expert_scale.empty()) {
    route.set("expert_scale", 1);
    bind["expert_scale"] = b.f32_vector("expert_scale", e.experts, below + e.expert_scale);
    b.plan().weights.back().mean = 1.0f;
    b.plan().weights.back().stored = &weight_format(b.shape().weights.vectors);
  }
  if (b.shape().forced_routing) {
    route.set("forced", 1);
    bind["forced_ids"] = b.buffer("forced_ids", BufferRole::forced_ids, DType::i32, {t, e.top_k});
  }
  route.set("x_type", DType::f32);
  b.op("route", std::move(route), std::move(bind));

  // The experts add to the stream with the shared ones' part in it.
  std::string base = residual;
  if (e.shared_ffn > 0) {
    base = b.activation("with_shared", h);
    DenseMlp shared{.ffn_hidden = e.shared_ffn, .bias = e.shared_bias};
    shared.prefix = below + e.shared, shared.name = "shared ";
    if (!e.shared_gate.empty()) shared.gated_by = below + e.shared_gate;
    shared.gate = e.gate, shared.up = e.up, shared.down = e.down;
    dense_mlp(b, shared, x, residual, base);
  }

  LayerBuilder::Sources gate_up, down, gate_up_bias, down_bias;
  for (std::int64_t i = 0; i < e.experts; ++i) {
    const std::string p = fmt::format("{}experts.{}.", below, i);
    gate_up.push_back(b.rows_of(p + e.gate + ".weight", {all, h}, part));
    gate_up.push_back(b.rows_of(p + e.up + ".weight", {all, h}, part));
    down.push_back(b.columns_of(p + e.down + ".weight", {h, all}, part));
    gate_up_bias.push_back(b.rows_of(p + e.gate + ".bias", {all}, part));
    gate_up_bias.push_back(b.rows_of(p + e.up + ".bias", {all}, part));
    down_bias.push_back({p + e.down + ".bias", {h}});
  }
  OpCase experts("moe_experts");
  experts.set("tokens", t).set("hidden", h).set("ffn_hidden", f).set("experts", e.experts).set("top_k", e.top_k);
  experts.set("act", e.limit > 0 ? "clamped" : e.act);
  if (e.limit > 0) experts.set("limit", e.limit);
  b.types(experts);
  const std::string gate_up_w = b.expert_matrices("experts_gate_up", {e.experts, 2 * f, h}, std::move(gate_up)),
                    down_w = b.expert_matrices("experts_down", {e.experts, h, f}, std::move(down));
  const WeightFormat &first = b.format_of(gate_up_w), &last = b.format_of(down_w);
  experts.set("w_type", first.name);
  if (&last != &first) experts.set("down_type", last.name);
  bind = {{"x", x}, {"ids", ids}, {"weights", weights}, {"w_gate_up", gate_up_w}, {"w_down", down_w}, {"y", y}};
  if (!base.empty()) {
    experts.set("residual", 1);
    bind["residual"] = base;
  }
  if (e.expert_biases) {
    experts.set("bias", 1);
    if (!first.is_plain() || !last.is_plain()) experts.set("bias_type", b.shape().weights.vectors);
    bind["b_gate_up"] = b.expert_biases("experts_gate_up_bias", {e.experts, 2 * f}, std::move(gate_up_bias));
    bind["b_down"] = b.expert_biases("experts_down_bias", {e.experts, h}, std::move(down_bias));
  }
  if (e.weigh_input) experts.set("weigh_input", 1);
  b.op("experts", std::move(experts), std::move(bind));
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

std::int64_t read_shared_experts(const JsonNode& config) {
  if (!config.has("n_shared_experts")) return config.get_int("n_shared_experts", 0, kMaxExperts);  // for its message
  return config.find_int("n_shared_experts", 0, kMaxExperts).value_or(0);
}

std::vector<bool> read_stepped_layers(const JsonNode& config, const ModelSpec& m) {
  const std::int64_t step =
      config.find_int("decoder_sparse_step", 1, std::numeric_limits<std::int32_t>::max()).value_or(1);
  std::vector<std::int64_t> dense;
  if (const auto list = config.find("mlp_only_layers")) dense = list->as_int_list(0, m.layers - 1);
  std::vector<bool> sparse;
  for (std::int64_t i = 0; i < m.layers; ++i)
    sparse.push_back((i + 1) % step == 0 && std::find(dense.begin(), dense.end(), i) == dense.end());
  const std::vector<std::string> words = read_layer_words(config, "mlp_layer_types", m.layers, {"dense", "sparse"});
  for (std::size_t i = 0; i < words.size(); ++i) {
    if ((words[i] == "sparse") != sparse[i]) {
      config.fail(fmt::format("mlp_layer_types[{}]", i),
                  fmt::format("\"{}\" contradicts decoder_sparse_step and mlp_only_layers", words[i]));
    }
  }
  return sparse;
}

void read_expert_groups(const JsonNode& config, const GroupDefaults& defaults, Mixture& e) {
  const auto read = [&](const char* key, std::int64_t absent) {
    return absent > 0 ? config.find_int(key, 1, kMaxExperts).value_or(absent) : config.get_int(key, 1, kMaxExperts);
  };
  e.groups = read("n_group", defaults.groups);
  e.top_groups = read("topk_group", defaults.top_groups);
  if (e.experts % e.groups != 0)
    config.fail("n_group", fmt::format("{} groups do not divide {} experts", e.groups, e.experts));
  const std::int64_t size = e.experts / e.groups;
  if (!e.group_by_best && size < 2)
    config.fail("n_group", fmt::format("a group counts its two best experts; expected at most {} groups, got {}",
                                       e.experts / 2, e.groups));
  if (e.top_groups > e.groups)
    config.fail("topk_group", fmt::format("chooses {} of {} groups", e.top_groups, e.groups));
  if (e.top_groups * size < e.top_k)
    config.fail("topk_group",
                fmt::format("{} groups of {} experts do not hold the {} that are chosen", e.top_groups, size, e.top_k));
}

Mixture read_biased_mixture(const JsonNode& config, const BiasedMixtureDefaults& defaults) {
  Mixture e{.sigmoid = true, .correction_bias = true};
  e.experts = read_expert_count(config, "n_routed_experts", "num_local_experts");
  e.top_k = read_top_k(config, e.experts);
  e.ffn_hidden = config.get_int("moe_intermediate_size", 1, kMaxFfn);
  e.renormalise = config.find_bool("norm_topk_prob").value_or(true);
  e.scaling = config.find_number("routed_scaling_factor", 1e-6, 1e6).value_or(defaults.scaling);
  expect_word(config, "scoring_func", {"sigmoid"}, "sigmoid");
  expect_word(config, "topk_method", {"noaux_tc"}, "noaux_tc");
  read_expert_groups(config, defaults.groups, e);
  e.shared_ffn = read_shared_experts(config) * e.ffn_hidden;
  return e;
}

std::int64_t read_top_k(const JsonNode& config, std::int64_t experts, std::string_view key) {
  const std::int64_t k = read_expert_count(config, key, "num_experts_per_tok");
  if (k > experts) config.fail(key, fmt::format("chooses {} of {} experts", k, experts));
  return k;
}

}  // namespace layercost
