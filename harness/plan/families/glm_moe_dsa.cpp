// glm_moe_dsa: as deepseek_v32 without groups of experts, with neighbours turned in the indexer too, and, from GLM-5.2
// on, layers without an indexer that see what the last layer with one chose. Which these are stands in indexer_types;
// where that is absent in index_topk_pattern, else it follows from index_topk_freq and index_skip_topk_offset.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "harness/plan/blocks/decoder_layer.h"
#include "harness/plan/family.h"

namespace layercost {
namespace {

constexpr std::string_view kTypes = "indexer_types", kPattern = "index_topk_pattern", kFreq = "index_topk_freq",
                           kOffset = "index_skip_topk_offset";

// Of each layer: whether it shares the selection of a layer before it.
std::vector<bool> read_shared(const JsonNode& config, std::int64_t layers) {
  const std::int64_t freq = config.find_int(kFreq, 0, kMaxLayers).value_or(1);
  const std::int64_t offset = config.find_int(kOffset, 0, kMaxLayers).value_or(2);
  const auto pattern = config.has(kPattern) ? config.find(kPattern) : std::nullopt;
  std::vector<std::string> words = read_layer_words(config, kTypes, layers, {"full", "shared"});
  std::string_view from = kTypes;
  if (words.empty() && pattern && pattern->is_string()) {
    from = kPattern;
    for (const char c : pattern->as_string(kMaxLayers)) {
      if (c != 'F' && c != 'S')
        pattern->fail(fmt::format("expected F (full) or S (shared) for each layer, got '{}'", c));
      words.emplace_back(c == 'F' ? "full" : "shared");
    }
    if (static_cast<std::int64_t>(words.size()) != layers)
      pattern->fail(fmt::format("expected {} letters like num_hidden_layers, got {}", layers, words.size()));
  } else if (words.empty() && pattern) {
    from = kPattern;
    words = read_layer_words(config, kPattern, layers, {"full", "shared"});
  }
  std::vector<bool> shared;
  for (std::int64_t i = 0; i < layers; ++i) {
    const bool by_freq = std::max<std::int64_t>(i - offset + 1, 0) % std::max<std::int64_t>(freq, 1) != 0;
    shared.push_back(words.empty() ? by_freq : words[static_cast<std::size_t>(i)] == "shared");
    if (shared.back() != by_freq && config.has(kFreq))
      config.fail(kFreq, fmt::format("{} with {} {} makes layer {} {}, and {} calls it {}", freq, kOffset, offset, i,
                                     by_freq ? "shared" : "full", from, shared.back() ? "shared" : "full"));
  }
  if (shared.front())
    config.fail(words.empty() ? kOffset : from, "expected a first layer with an indexer: none is before it");
  return shared;
}

void read(const JsonNode& config, ModelSpec& m) {
  LatentAttention a = read_latent_attention(config, m);
  a.indexer = read_lightning_indexer(config, a.rope_dim);
  a.indexer.interleaved = true;
  for (const char* key : {"rope_interleave", "indexer_rope_interleave"})
    if (!config.find_bool(key).value_or(true))
      config.fail(key, "transformers turns neighbours in this family whatever it says; expected true, got false");
  std::vector<Attention> attentions;
  for (const bool shared : read_shared(config, m.layers)) {
    a.indexer.shared = shared;
    attentions.emplace_back(a);
  }
  const Mixture e = read_biased_mixture(config, {.groups = {1, 1}, .scaling = 2.5});
  add_dense_then_experts(config, 3, attentions, false, e, m);
}

}  // namespace

extern const Family glm_moe_dsa_family;
const Family glm_moe_dsa_family{"glm_moe_dsa", "GlmMoeDsa", 1e-5, read};

}  // namespace layercost
