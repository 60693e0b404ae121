// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/what_if.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/counts.h"
#include "harness/plan/family.h"
#include "harness/spec/part_name.h"
#include "harness/spec/price_spec.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

constexpr std::int64_t kWidthStep = 256;

[[noreturn]] void refuse(const ModelSpec& m, const std::string& change, const std::string& why) {
  throw BadInput(fmt::format("{}@{}: {}", m.name, change, why));
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

// The model with blocks(old) in every layer, under the names that kinds of such blocks have.
template <typename Blocks>
ModelSpec with_blocks(const ModelSpec& m, const std::string& change, const Blocks& blocks) {
  ModelSpec out = m;
  out.name += "@" + change;
  out.id.clear();
  out.trained = false;
  out.mtp_layers = 0, out.mtp = {};
  for (std::string& note : out.notes)
    if (const std::size_t at = note.find("; --mtp"); at != std::string::npos) note.resize(at);
  out.experts.reset();
  for (LayerKind& kind : out.kinds) {
    const DecoderBlocks was = *kind.blocks, is = blocks(was);
    const std::string rest = kind.name.substr(kind_name(was.attention, was.feed_forward).size());  // its formats
    std::string name = kind_name(is.attention, is.feed_forward) + rest;
    const auto* mlp = std::get_if<DenseMlp>(&is.feed_forward);
    if (std::holds_alternative<Mixture>(was.feed_forward) && mlp != nullptr) {
      for (const auto& [expert, dense] : {std::pair("experts_gate_up", "gate_up_w"), {"experts_down", "down_w"}}) {
        replace_all(name, expert, dense);
        if (auto format = kind.formats.extract(expert)) {
          format.key() = dense;
          kind.formats.insert(std::move(format));
        }
      }
      // Beside dense layers of the model's own, of another width.
      const bool taken =
          std::any_of(m.kinds.begin(), m.kinds.end(), [&](const LayerKind& k) { return k.name == name; });
      if (taken) name += fmt::format(" ffn={}", mlp->ffn_hidden);
    }
    if (std::holds_alternative<LatentAttention>(was.attention) &&
        !std::holds_alternative<LatentAttention>(is.attention))
      if (const auto o = kind.formats.find("o_w"); o != kind.formats.end()) kind.formats["qkv_w"] = o->second;
    kind.name = std::move(name);
    kind.blocks = std::make_shared<const DecoderBlocks>(is);
    kind.lower = [is](LayerBuilder& b) { decoder_layer(b, is.attention, is.feed_forward); };
    if (!out.experts) out.experts = plan_layer(out, kind, {}).experts();
  }
  return out;
}

ModelSpec with_mlp(const ModelSpec& m, const std::string& change, std::int64_t width) {
  return with_blocks(m, change, [&](DecoderBlocks blocks) {
    if (const auto* e = std::get_if<Mixture>(&blocks.feed_forward)) {
      DenseMlp mlp{.ffn_hidden = width, .bias = e->expert_biases};
      mlp.act = e->limit > 0 ? "clamped" : e->act, mlp.limit = e->limit;
      blocks.feed_forward = std::move(mlp);
    }
    return blocks;
  });
}

// Parameters grow by the same for each step in width: two counts give them all.
ModelSpec with_mlp_near(const ModelSpec& m, const std::string& change, double q, std::int64_t ParameterCount::*counted,
                        const char* what) {
  const double own = static_cast<double>(count_parameters(m).*counted), wanted = q * own;
  const auto at = [&](std::int64_t width) {
    return static_cast<double>(count_parameters(with_mlp(m, change, width)).*counted);
  };
  const double least = at(kWidthStep), slope = at(2 * kWidthStep) - least;
  const double steps = 1 + std::round((wanted - least) / slope), most = static_cast<double>(kMaxFfn / kWidthStep);
  const auto as_said = [&](double parameters) { return fmt::format("{:.4g}", parameters / own); };
  if (steps < 1)
    refuse(m, change,
           fmt::format("all but the experts is more than that; the least, with an MLP of {} columns, is {} times {}",
                       kWidthStep, as_said(least), m.name));
  if (steps > most)
    refuse(m, change,
           fmt::format("an MLP of more than {} columns; the largest is {} times {}", kMaxFfn,
                       as_said(least + (most - 1) * slope), m.name));
  const std::int64_t width = static_cast<std::int64_t>(steps) * kWidthStep;
  ModelSpec out = with_mlp(m, change, width);
  const double reached = static_cast<double>(count_parameters(out).*counted);
  out.notes.push_back(
      fmt::format("@{}: nobody trained it; where {} has experts it has an MLP of {} columns, which makes its {} {:.4f} "
                  "times as many",
                  change, m.name, width, what, reached / own));
  return out;
}

template <typename Block, typename Variant>
bool any_of_them(const ModelSpec& m, Variant DecoderBlocks::*side, bool (*test)(const Block&)) {
  return std::any_of(m.kinds.begin(), m.kinds.end(), [&](const LayerKind& kind) {
    const auto* block = std::get_if<Block>(&((*kind.blocks).*side));
    return block != nullptr && test(*block);
  });
}

bool has_experts(const ModelSpec& m) {
  return any_of_them<Mixture>(m, &DecoderBlocks::feed_forward, [](const Mixture&) { return true; });
}
bool has_shared(const ModelSpec& m) {
  return any_of_them<Mixture>(m, &DecoderBlocks::feed_forward, [](const Mixture& e) { return e.shared_ffn > 0; });
}
bool has_fewer_keys(const ModelSpec& m) {
  return any_of_them<LatentAttention>(m, &DecoderBlocks::attention, [](const LatentAttention&) { return true; }) ||
         any_of_them<GroupedQueryAttention>(m, &DecoderBlocks::attention,
                                            [](const GroupedQueryAttention& a) { return a.kv_heads < a.heads; });
}

ModelSpec without_shared(const ModelSpec& m) {
  if (!has_shared(m)) refuse(m, std::string(kUnshared), "has no shared experts");
  ModelSpec out = with_blocks(m, std::string(kUnshared), [](DecoderBlocks blocks) {
    if (auto* e = std::get_if<Mixture>(&blocks.feed_forward)) e->shared_ffn = 0, e->shared_gate.clear();
    return blocks;
  });
  out.notes.push_back(fmt::format("@{}: nobody trained it; {} without its shared experts", kUnshared, m.name));
  return out;
}

ModelSpec with_all_heads(const ModelSpec& m) {
  const std::string change(kMha);
  if (!has_fewer_keys(m) &&
      !any_of_them<GatedDeltaAttention>(m, &DecoderBlocks::attention, [](const auto&) { return true; }))
    refuse(m, change, "every head of its attention has keys and values of its own already");
  ModelSpec out = with_blocks(m, change, [&](DecoderBlocks blocks) {
    if (std::holds_alternative<GatedDeltaAttention>(blocks.attention))
      refuse(m, change, "linear attention keeps no keys, and has no such counterpart");
    if (auto* grouped = std::get_if<GroupedQueryAttention>(&blocks.attention)) grouped->kv_heads = grouped->heads;
    const auto* latent = std::get_if<LatentAttention>(&blocks.attention);
    if (latent == nullptr) return blocks;
    if (latent->indexer.top_k > 0)
      refuse(m, change, "its attention chooses among the keys, and what it would choose from is latent");
    // As the paper counts what it saves: DeepSeek-AI, "DeepSeek-V2", 2024, table 1: 2 heads x head size elements a
    // token.
    GroupedQueryAttention a;
    a.heads = a.kv_heads = latent->heads, a.head_dim = latent->v_dim;
    a.qkv_bias = a.o_bias = latent->bias;
    a.rotary = latent->rotary;
    blocks.attention = std::move(a);
    return blocks;
  });
  out.notes.push_back(fmt::format(
      "@{}: nobody trained it; every head of {} with keys and values of its own, {:.1f} times as many to "
      "cache, {:.4f} times the parameters",
      change, m.name, static_cast<double>(kv_elements_per_token(out)) / static_cast<double>(kv_elements_per_token(m)),
      static_cast<double>(count_parameters(out).total) / static_cast<double>(count_parameters(m).total)));
  return out;
}

}  // namespace

std::optional<std::pair<std::string, std::string>> split_change(const std::string& name) {
  const std::size_t at = name.rfind('@');
  if (at == std::string::npos || !is_change(std::string_view(name).substr(at + 1))) return std::nullopt;
  return std::pair(name.substr(0, at), name.substr(at + 1));
}

std::string twin_change(const std::string& q) {
  const auto number = parse_decimal(q);
  if (!number)
    throw BadInput(
        fmt::format("--twin: expected how many times the active parameters, above 0, such as 1 or 1.5, got "
                    "'{}'",
                    printable(q)));
  return fmt::format("{}{}", kTwin, *number);
}

ModelSpec what_if(const ModelSpec& m, const std::string& change) {
  if (m.whole != nullptr || m.kinds.back().name.starts_with(kMtpPart))
    refuse(m, change, fmt::format("blocks are exchanged before anything else; expected name@{}@...", change));
  for (const LayerKind& kind : m.kinds)
    if (kind.blocks == nullptr)
      refuse(m, change,
             fmt::format("layers of model_type {} are not made of blocks that can be exchanged", m.model_type));
  if (change == kUnshared) return without_shared(m);
  if (change == kMha) return with_all_heads(m);
  if (!has_experts(m)) refuse(m, change, "has no experts that an MLP could stand for");
  if (change == kDense) return with_mlp_near(m, change, 1, &ParameterCount::total, "parameters");
  const std::string canonical = twin_change(change.substr(kTwin.size()));
  return with_mlp_near(m, canonical, *parse_decimal(canonical.substr(kTwin.size())), &ParameterCount::active,
                       "active parameters");
}

std::vector<ModelSpec> ladder(const ModelSpec& m) {
  std::vector<ModelSpec> all;
  const ModelSpec dense = m.experts ? what_if(m, std::string(kDense)) : m;
  if (has_fewer_keys(dense)) all.push_back(what_if(dense, std::string(kMha)));
  if (m.experts) all.push_back(dense);
  if (m.experts && has_shared(m)) all.push_back(what_if(m, std::string(kUnshared)));
  all.push_back(m);
  return all;
}

}  // namespace layercost
