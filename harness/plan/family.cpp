// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/family.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>

#include "kernels/core/error.h"

namespace layercost {

#define LAYERCOST_FAMILY(model_type) extern const Family model_type##_family;
#include "families.inc"  // made by CMake from families.txt
#undef LAYERCOST_FAMILY

std::span<const Family* const> all_families() {
#define LAYERCOST_FAMILY(model_type) &model_type##_family,
  static constexpr std::array families = {
#include "families.inc"
  };
#undef LAYERCOST_FAMILY
  return families;
}

std::string expect_word(const JsonNode& config, std::string_view key, const std::vector<std::string>& known,
                        std::string_view absent) {
  const std::string word = config.find_string(key, 64).value_or(std::string(absent));
  if (std::find(known.begin(), known.end(), word) == known.end())
    config.fail(key, fmt::format("\"{}\" is not what this model_type does{}; known are: {}", word,
                                 did_you_mean(word, known), fmt::join(known, ", ")));
  return word;
}

std::vector<std::string> read_layer_words(const JsonNode& config, std::string_view key, std::int64_t layers,
                                          const std::vector<std::string>& known) {
  std::vector<std::string> words;
  const auto list = config.find(key);
  if (!list) return words;
  const auto count = static_cast<std::size_t>(layers);
  if (list->is_list() && list->as_list().size() != count) {
    list->fail(fmt::format("expected a list of num_hidden_layers ({}), got {}", layers, list->described()));
  }
  for (const JsonNode& item : list->as_list()) {
    words.push_back(item.as_string(64));
    if (std::find(known.begin(), known.end(), words.back()) == known.end()) {
      item.fail(fmt::format("layers of kind \"{}\" are not supported yet{}; known are: {}", words.back(),
                            did_you_mean(words.back(), known), fmt::join(known, ", ")));
    }
  }
  return words;
}

void expect_same_width(const JsonNode& config, std::string_view key, std::int64_t width) {
  if (const auto other = config.find_int(key, 1, kMaxFfn); other && *other != width)
    config.fail(key,
                fmt::format("{} contradicts intermediate_size ({}), which is what transformers reads", *other, width));
}

namespace {

[[noreturn]] void contradiction(const JsonNode& config, const ModelSpec& m, std::size_t layer, const std::string& word,
                                std::int64_t window) {
  config.fail(fmt::format("layer_types[{}]", layer),
              fmt::format("\"{}\" contradicts the window that model_type {} computes from the other keys ({})", word,
                          m.model_type, window > 0 ? fmt::format("{} keys", window) : "none"));
}

std::vector<std::string> read_layer_types(const JsonNode& config, const ModelSpec& m) {
  return read_layer_words(config, "layer_types", m.layers, {"full_attention", "sliding_attention"});
}

}  // namespace

void expect_layer_types(const JsonNode& config, const ModelSpec& m, const std::vector<std::int64_t>& windows) {
  const std::vector<std::string> words = read_layer_types(config, m);
  for (std::size_t i = 0; i < words.size(); ++i)
    if ((words[i] == "sliding_attention") != (windows[i] > 0)) contradiction(config, m, i, words[i], windows[i]);
}

std::int64_t read_switched_window(const JsonNode& config, ModelSpec& m) {
  if (!config.find_bool("use_sliding_window").value_or(false)) {
    config.find("sliding_window");  // has no meaning then
    return 0;
  }
  if (!config.has("sliding_window")) {
    m.notes.push_back("sliding_window is absent and use_sliding_window is true: 4096 as transformers takes it");
    return 4096;
  }
  return config.find_int("sliding_window", 1, kMaxPositions).value_or(0);
}

std::int64_t read_default_window(const JsonNode& config, ModelSpec& m) {
  if (config.has("sliding_window")) return config.find_int("sliding_window", 1, kMaxPositions).value_or(0);
  m.notes.push_back("sliding_window is absent: 4096 as transformers takes it");
  return 4096;
}

std::vector<std::int64_t> read_typed_windows(const JsonNode& config, const ModelSpec& m, std::int64_t window,
                                             const std::function<bool(std::int64_t)>& slides) {
  const std::vector<std::string> words = read_layer_types(config, m);
  std::vector<std::int64_t> windows;
  for (std::int64_t i = 0; i < m.layers; ++i) {
    const bool sliding = words.empty() ? slides(i) : words[static_cast<std::size_t>(i)] == "sliding_attention";
    if (sliding && window == 0)
      config.fail("sliding_window", fmt::format("layer {} has a window, of which this says nothing", i));
    windows.push_back(sliding ? window : 0);
  }
  return windows;
}

std::vector<std::int64_t> read_upper_windows(const JsonNode& config, ModelSpec& m) {
  const std::int64_t window = read_switched_window(config, m);
  const std::int64_t first =
      config.find_int("max_window_layers", 0, std::numeric_limits<std::int32_t>::max()).value_or(28);
  const std::vector<std::string> words = read_layer_types(config, m);
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < m.layers; ++i) {
    out.push_back(i >= first ? window : 0);
    if (words.empty()) continue;
    const std::string& word = words[static_cast<std::size_t>(i)];
    const bool slides = word == "sliding_attention";
    // These classes cannot run with a window that is switched off.
    if (slides && window == 0) contradiction(config, m, static_cast<std::size_t>(i), word, 0);
    out.back() = slides ? window : 0;
  }
  return out;
}

}  // namespace layercost
