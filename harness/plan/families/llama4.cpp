// llama4: three layers that turn neighbours and attend within chunks, then one that neither turns nor ends at chunks
// and sharpens its queries by their position instead (no_rope_layers: 1 means that a layer turns). Norms of q and k
// (use_qk_norm) have no weights, stand behind the rotation, and only where there is one. Experts in every
// interleave_moe_layer_step-th layer or where moe_layers says, of intermediate_size, beside one shared one of the same
// width; an expert sees the token times the sigmoid of its logit. Dense layers have intermediate_size_mlp. All is below
// feed_forward. Published as a model of text and pictures.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

// One per layer; an empty list counts as absent.
std::vector<bool> read_turned(const JsonNode& config, const ModelSpec& m) {
  const std::int64_t interval = config.find_int("no_rope_layer_interval", 1, kMaxLayers).value_or(4);
  std::vector<bool> turned;
  for (std::int64_t i = 0; i < m.layers; ++i) turned.push_back((i + 1) % interval != 0);
  const auto list = config.find("no_rope_layers");
  if (!list) return turned;
  const std::vector<std::int64_t> given = list->as_int_list(0, 1);
  if (given.empty()) return turned;
  if (static_cast<std::int64_t>(given.size()) != m.layers)
    list->fail(fmt::format("expected one number for each of num_hidden_layers ({}), or none, got {}", m.layers,
                           list->described()));
  for (std::size_t i = 0; i < given.size(); ++i) turned[i] = given[i] == 1;
  return turned;
}

std::vector<std::int64_t> read_chunks(const JsonNode& config, const ModelSpec& m, const std::vector<bool>& turned) {
  constexpr const char *kSize = "attention_chunk_size", *kChunked = "chunked_attention";
  const std::int64_t size = config.has(kSize) ? config.find_int(kSize, 1, kMaxPositions).value_or(0) : 8192;
  const std::vector<std::string> words =
      read_layer_words(config, "layer_types", m.layers, {kChunked, "full_attention"});
  std::vector<std::int64_t> chunks;
  for (std::size_t i = 0; i < turned.size(); ++i) {
    const bool chunked = words.empty() ? turned[i] : words[i] == kChunked;
    if (chunked && size == 0) config.fail(kSize, fmt::format("layer {} has chunks, of which this says nothing", i));
    chunks.push_back(chunked ? size : 0);
  }
  return chunks;
}

QueryTemperature read_temperature(const JsonNode& config) {
  const auto node = config.find("attn_temperature_tuning");  // published files say true, or 4
  if (node && !(node->is_number() ? node->as_int(0, kMaxPositions) != 0 : node->as_bool())) return {};
  return {.beta = config.find_number("attn_scale", 0, 1e3).value_or(0.1),
          .every = config.find_int("floor_scale", 1, kMaxPositions).value_or(8192),
          .offset = 1};
}

std::vector<bool> read_sparse(const JsonNode& config, const ModelSpec& m) {
  const std::int64_t step = config.find_int("interleave_moe_layer_step", 1, kMaxLayers).value_or(1);
  std::vector<bool> sparse;
  for (std::int64_t i = 0; i < m.layers; ++i) sparse.push_back((i + 1) % step == 0);
  if (const auto list = config.find("moe_layers")) {
    std::fill(sparse.begin(), sparse.end(), false);
    for (const std::int64_t i : list->as_int_list(0, m.layers - 1)) sparse[static_cast<std::size_t>(i)] = true;
  }
  return sparse;
}

void read(const JsonNode& config, ModelSpec& m) {
  GroupedQueryAttention turning =
      read_grouped_query_attention(config, {.head_dim = 128, .kv_heads = 8, .rope_theta = 5e5}, m);
  turning.rotary.interleaved = true;
  turning.qkv_bias = turning.o_bias = config.find_bool("attention_bias").value_or(false);
  GroupedQueryAttention standing = turning;
  standing.without_rotation();
  standing.temperature = read_temperature(config);
  if (config.find_bool("use_qk_norm").value_or(true)) turning.qk_norm = "bare";
  const std::vector<bool> turned = read_turned(config, m), sparse = read_sparse(config, m);
  const std::vector<std::int64_t> chunks = read_chunks(config, m, turned);

  if (const auto size = *std::max_element(chunks.begin(), chunks.end()); size > 0)
    m.notes.push_back(
        fmt::format("attention_chunk_size: a token sees keys of its own {} positions only, so that a "
                    "context just behind a multiple costs as little as a short one",
                    size));

  Mixture e{.renormalise = false, .sigmoid = true, .weigh_input = true};
  DenseMlp mlp;
  e.prefix = mlp.prefix = "feed_forward", e.router = "router", e.shared = "shared_expert";
  if (std::find(sparse.begin(), sparse.end(), true) != sparse.end()) {
    e.experts = read_expert_count(config, "num_local_experts", "num_experts");
    e.top_k = read_top_k(config, e.experts);
    e.ffn_hidden = e.shared_ffn = config.get_int("intermediate_size", 1, kMaxFfn);
  } else {
    config.find_int("num_local_experts", 0, kMaxExperts);  // said of layers that there are none of
    m.notes.push_back("interleave_moe_layer_step and moe_layers leave no layer with experts");
  }
  if (std::find(sparse.begin(), sparse.end(), false) != sparse.end())
    mlp.ffn_hidden = config.get_int("intermediate_size_mlp", 1, kMaxFfn);
  else config.find_int("intermediate_size_mlp", 1, kMaxFfn);  // said of layers that there are none of, as by Scout
  for (std::size_t i = 0; i < turned.size(); ++i) {
    GroupedQueryAttention a = turned[i] ? turning : standing;
    a.chunk = chunks[i];
    add_decoder_layer(m, a, sparse[i] ? FeedForward(e) : FeedForward(mlp));
  }
}

}  // namespace

extern const Family llama4_family;
constexpr std::string_view kSame[] = {"llama4_text"};
const Family llama4_family{
    .model_type = "llama4", .class_prefix = "Llama4", .default_rms_norm_eps = 1e-5, .read = read, .aliases = kSame};

}  // namespace layercost
