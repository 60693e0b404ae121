// minimax: layers of lightning attention and of full attention, by layer_types (transformers; absent: in turns) or by
// attn_type_list (1 is full), experts as mixtral's in all of them; the stream goes on from the norms, each part of a
// sum with a factor. Of MiniMax-Text-01 and M1 the files of their own code say minimax_text_01 and minimax_m1, call the
// factors layernorm_..._alpha and _beta, and turn rotary_dim of each head; transformers' class turns all of it.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "harness/plan/blocks/stream_normed_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

constexpr const char* kLinear = "linear_attention";

std::vector<bool> read_linear_layers(const JsonNode& config, bool own_code, ModelSpec& m) {
  const std::vector<std::string> words = read_layer_words(config, "layer_types", m.layers, {kLinear, "full_attention"});
  std::vector<bool> linear;
  for (const std::string& word : words) linear.push_back(word == kLinear);
  if (const auto list = config.find("attn_type_list")) {
    const std::vector<std::int64_t> numbers = list->as_int_list(0, 1);
    if (static_cast<std::int64_t>(numbers.size()) != m.layers)
      list->fail(fmt::format("expected a list of num_hidden_layers ({}), got {}", m.layers, list->described()));
    for (std::size_t i = 0; i < numbers.size(); ++i)
      if (i < words.size() && linear[i] != (numbers[i] == 0))
        config.fail(fmt::format("layer_types[{}]", i),
                    fmt::format("\"{}\" contradicts attn_type_list ({})", words[i], numbers[i]));
    if (words.empty() && !own_code) list->fail("model_type minimax reads layer_types; expected that key, too");
    if (words.empty())
      for (const std::int64_t n : numbers) linear.push_back(n == 0);
  } else if (words.empty()) {
    if (own_code) config.at("attn_type_list");  // for its message
    m.notes.push_back("layer_types is absent: full and linear attention in turns, as transformers takes it");
    for (std::int64_t i = 0; i < m.layers; ++i) linear.push_back(i % 2 == 1);
  }
  return linear;
}

// A factor under its name in transformers, or in MiniMax's own code; 1 where nothing says it.
double read_factor(const JsonNode& config, const std::string& ours, const std::string& theirs) {
  constexpr double kLeast = 1e-6, kMost = 1e6;
  const auto own = config.find_number(ours, kLeast, kMost), other = config.find_number(theirs, kLeast, kMost);
  if (other && *other != own.value_or(1))
    config.fail(theirs, fmt::format("{} contradicts {} ({}), which is what model_type {} reads", *other, ours,
                                    own.value_or(1), config.get_string("model_type", 64)));
  return own.value_or(1);
}

void read(const JsonNode& config, ModelSpec& m) {
  const bool own_code = config.get_string("model_type", 64) != "minimax";
  GroupedQueryAttention full = read_grouped_query_attention(config, {.kv_heads = 8, .rope_theta = 1e6}, m);
  if (own_code) {
    read_rotary_dim(config, full);
  } else if (const auto dims = config.find_int("rotary_dim", 2, full.head_dim); dims && *dims != full.head_dim) {
    m.notes.push_back(fmt::format("rotary_dim ({}) is ignored: transformers' minimax turns whole heads", *dims));
  }
  full.window = config.find_int("sliding_window", 1, kMaxPositions).value_or(0);
  if (!config.find_bool("postnorm").value_or(true))
    config.fail("postnorm", "the stream goes on from the norms in model_type minimax; expected true or no such key");
  Mixture e{.prefix = "block_sparse_moe", .gate = "w1", .up = "w3", .down = "w2"};
  e.experts = read_expert_count(config, "num_local_experts", "num_experts");
  e.top_k = read_top_k(config, e.experts);
  e.ffn_hidden = config.get_int("intermediate_size", 1, kMaxFfn);
  const auto factor = [&](const std::string& place, const std::string& own_place, const std::string& which) {
    const std::string usual = place + "_" + which + "_factor", own = "layernorm_" + own_place + "_" + which;
    return own_code ? read_factor(config, own, usual) : read_factor(config, usual, own);
  };
  e.scaling = factor("mlp", "mlp", "beta");
  const double mlp_alpha = factor("mlp", "mlp", "alpha");
  StreamNormedLayer full_layer{full, e, factor("full_attn", "full_attention", "alpha"),
                               factor("full_attn", "full_attention", "beta"), mlp_alpha};
  StreamNormedLayer linear_layer{LightningAttention{full.heads, full.head_dim}, e,
                                 factor("linear_attn", "linear_attention", "alpha"),
                                 factor("linear_attn", "linear_attention", "beta"), mlp_alpha};
  const std::string name = full.window > 0 ? fmt::format("moe window={}", full.window) : "moe";
  for (const bool linear : read_linear_layers(config, own_code, m))
    m.add_layer(linear ? "moe linear" : name,
                [layer = linear ? linear_layer : full_layer](LayerBuilder& b) { stream_normed_layer(b, layer); });
}

}  // namespace

extern const Family minimax_family;
constexpr std::string_view kSame[] = {"minimax_text_01", "minimax_m1"}, kPrefixes[] = {"MiniMaxText01", "MiniMaxM1"};
const Family minimax_family{.model_type = "minimax",
                            .class_prefix = "MiniMax",
                            .default_rms_norm_eps = 1e-5,
                            .read = read,
                            .aliases = kSame,
                            .other_prefixes = kPrefixes};

}  // namespace layercost
