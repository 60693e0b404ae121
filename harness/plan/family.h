// What:    a family: how the config.json of one model_type becomes a ModelSpec. One file and one line of
//          families.txt in families/ each; a family's names, defaults and traps live in its file and nowhere else.
// Rules:   read() gets the sizes that every model has (hidden, layers, vocab, ...) and adds one layer after the other.
//          An optional key with null counts as absent. A missing size is an error: no published config leaves it out,
//          and the class defaults of transformers belong to no real model. A key of layer_keys.cpp that is there and
//          that read() does not ask for is refused.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/plan/model.h"
#include "harness/spec/json_reader.h"

namespace layercost {

struct Family {
  std::string_view model_type;
  std::string_view class_prefix;  // of its classes' names: "Qwen3Moe" of Qwen3MoeForCausalLM
  double default_rms_norm_eps;
  void (*read)(const JsonNode& config, ModelSpec&);
  // model_types of models of text and pictures whose language part is this family's.
  std::span<const std::string_view> multimodal = {};
  std::span<const std::string_view> aliases = {};         // other model_types of the same classes
  bool tied_by_default = false;                           // what an absent tie_word_embeddings means
  std::span<const std::string_view> other_prefixes = {};  // class_prefix in repositories with code of their own
};
std::span<const Family* const> all_families();

// What a number in a config may be. The largest published models have hidden 18432, 160 layers, 256 heads, 512 experts
// and 262144 words; the limits leave a factor of ten and more, and keep every later product far from 2^63.
inline constexpr std::int64_t kMaxHidden = std::int64_t{1} << 20;
inline constexpr std::int64_t kMaxLayers = 4096;
inline constexpr std::int64_t kMaxHeads = 1 << 14;
inline constexpr std::int64_t kMaxHeadDim = 1 << 13;
inline constexpr std::int64_t kMaxFfn = std::int64_t{1} << 22;
inline constexpr std::int64_t kMaxVocab = std::int64_t{1} << 24;
inline constexpr std::int64_t kMaxExperts = 1 << 14;
inline constexpr std::int64_t kMaxPositions = std::int64_t{1} << 40;

// The word under `key`, one of the known ones; `absent` where the key is.
std::string expect_word(const JsonNode& config, std::string_view key, const std::vector<std::string>& known,
                        std::string_view absent);
// One word per layer under `key`, each of the known ones; empty if the key is absent.
std::vector<std::string> read_layer_words(const JsonNode& config, std::string_view key, std::int64_t layers,
                                          const std::vector<std::string>& known);

// A second name of intermediate_size that transformers does not read, and that may say nothing else.
void expect_same_width(const JsonNode& config, std::string_view key, std::int64_t width);

// Windows of all layers. `layer_types` (of transformers 5) has to say the same, in families that do not read it: to
// follow either side in silence would measure another model than the reader has in mind.
void expect_layer_types(const JsonNode& config, const ModelSpec&, const std::vector<std::int64_t>& windows);
// The window of qwen's classes: none unless `use_sliding_window`; an absent (not null) `sliding_window` is 4096.
std::int64_t read_switched_window(const JsonNode& config, ModelSpec&);
// mistral's: an absent (not null) `sliding_window` is 4096; 0: none.
std::int64_t read_default_window(const JsonNode& config, ModelSpec&);
// `window` (0: none) in the layers that `layer_types` calls sliding, without it in those that `slides` names.
std::vector<std::int64_t> read_typed_windows(const JsonNode& config, const ModelSpec&, std::int64_t window,
                                             const std::function<bool(std::int64_t layer)>& slides);
// qwen2, qwen3: where `layer_types` says so, else in layers >= max_window_layers (28 where it is absent).
std::vector<std::int64_t> read_upper_windows(const JsonNode& config, ModelSpec&);

}  // namespace layercost
