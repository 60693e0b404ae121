// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/rotary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/core/error.h"

namespace layercost {
namespace {

constexpr double kMaxTheta = 1e15, kMaxFactor = 1e6;
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 40;

std::optional<double> find_part(const JsonNode& node, const RotaryDefaults& defaults) {
  const auto part = node.find_number("partial_rotary_factor", 0.0, 1.0);
  if (part && *part != 1.0 && !defaults.part) {
    node.fail("partial_rotary_factor", fmt::format("this model_type rotates whole heads; expected 1, got {:g}", *part));
  }
  return part;
}

// How many elements of a head are rotated: cut off, not rounded, as in transformers. An odd number is refused, for
// which frequencies are those of a fraction of a pair there.
std::int64_t read_dims(const JsonNode& config, const std::optional<JsonNode>& given, std::int64_t head_dim,
                       const RotaryDefaults& defaults, std::vector<std::string>& notes) {
  const auto outside = find_part(config, defaults), inside = given ? find_part(*given, defaults) : std::nullopt;
  const double part = inside ? *inside : outside ? *outside : defaults.part.value_or(1.0);
  const auto dims = static_cast<std::int64_t>(static_cast<double>(head_dim) * part);
  if (dims < 2 || dims % 2 != 0) {
    (inside ? *given : config)
        .fail("partial_rotary_factor",
              fmt::format("{:g} of head_dim {} is {}; expected an even number of at least 2", part, head_dim, dims));
  }
  if (!inside && !outside && part != 1.0)
    notes.push_back(fmt::format("partial_rotary_factor is absent: {:g} as transformers takes it", part));
  return dims;
}

// A value beside rope_scaling comes first in transformers; without any it is max_position_embeddings.
std::int64_t original_positions(const JsonNode& config, const JsonNode& given, std::int64_t max_position) {
  const auto outside = config.find_int("original_max_position_embeddings", 1, kMaxPositions);
  const auto inside = given.find_int("original_max_position_embeddings", 1, kMaxPositions);
  if (outside || inside) return outside ? *outside : *inside;
  if (max_position > 0) return max_position;
  given.fail("original_max_position_embeddings", "the key is missing, and so is max_position_embeddings");
}

void read_llama3(const JsonNode& config, const JsonNode& given, std::int64_t max_position, RotarySpec& rope) {
  rope.kind = RotarySpec::Kind::llama3;
  rope.factor = given.get_number("factor", 1.0, kMaxFactor);
  rope.low_freq_factor = given.get_number("low_freq_factor", 1e-6, 1e6);
  rope.high_freq_factor = given.get_number("high_freq_factor", 1e-6, 1e6);
  if (rope.high_freq_factor < rope.low_freq_factor) {
    given.fail("high_freq_factor", fmt::format("expected at least low_freq_factor ({:g}), got {:g}",
                                               rope.low_freq_factor, rope.high_freq_factor));
  }
  rope.original_max_position = original_positions(config, given, max_position);
}

void read_yarn(const JsonNode& config, const JsonNode& given, std::int64_t max_position, RotarySpec& rope) {
  rope.kind = RotarySpec::Kind::yarn;
  // The ramp divides by its logarithm.
  if (!(rope.theta > 1)) given.fail("rope_theta", fmt::format("yarn needs more than 1, got {:g}", rope.theta));
  rope.original_max_position = original_positions(config, given, max_position);
  if (const auto factor = given.find_number("factor", 1.0, kMaxFactor)) {
    rope.factor = *factor;
  } else if (max_position > 0 && given.has("original_max_position_embeddings")) {
    rope.factor = static_cast<double>(max_position) / static_cast<double>(rope.original_max_position);
  } else {
    rope.factor = given.get_number("factor", 1.0, kMaxFactor);  // for its message
  }
  rope.beta_fast = given.find_number("beta_fast", 1e-6, 1e6).value_or(32);
  rope.beta_slow = given.find_number("beta_slow", 1e-6, 1e6).value_or(1);
  rope.truncate = given.find_bool("truncate").value_or(true);
  // 0 counts as absent there.
  const double mscale = given.find_number("mscale", 0, 1e6).value_or(0);
  const double mscale_all = given.find_number("mscale_all_dim", 0, 1e6).value_or(0);
  const auto scale = [&](double m) { return rope.factor <= 1 ? 1.0 : 0.1 * m * std::log(rope.factor) + 1.0; };
  if (const auto factor = given.find_number("attention_factor", 1e-6, 1e6)) {
    rope.table_scale = *factor;
  } else if (mscale > 0 && mscale_all > 0) {
    rope.table_scale = scale(mscale) / scale(mscale_all);
  } else {
    rope.table_scale = scale(1.0);
  }
  if (mscale_all > 0) rope.score_scale = scale(mscale_all) * scale(mscale_all);
}

// Frequency of each pair, before it is rounded to f32.
double frequency(const RotarySpec& rope, std::int64_t pair) {
  const auto dims = static_cast<double>(rope.dims), original = static_cast<double>(rope.original_max_position);
  const double f = 1.0 / std::pow(rope.theta, 2.0 * static_cast<double>(pair) / dims);
  switch (rope.kind) {
    case RotarySpec::Kind::plain:
      return f;
    case RotarySpec::Kind::linear:
      return f / rope.factor;
    case RotarySpec::Kind::llama3: {
      // By wavelength: short ones stay, long ones are stretched by `factor`, those between are blended. With
      // low = high (Llama 4 Scout) there is no between, and its 0/0 must not be formed.
      const double wavelength = 2 * std::numbers::pi / f;
      if (wavelength > original / rope.low_freq_factor) return f / rope.factor;
      if (wavelength < original / rope.high_freq_factor || rope.high_freq_factor == rope.low_freq_factor) return f;
      const double smooth =
          (original / wavelength - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
      return (1 - smooth) * f / rope.factor + smooth * f;
    }
    case RotarySpec::Kind::yarn: {
      // The pair (a real number) that turns `turns` times within the original context.
      const auto pair_of = [&](double turns) {
        return dims * std::log(original / (turns * 2 * std::numbers::pi)) / (2 * std::log(rope.theta));
      };
      double low = pair_of(rope.beta_fast), high = pair_of(rope.beta_slow);
      if (rope.truncate) low = std::floor(low), high = std::ceil(high);
      low = std::max(low, 0.0), high = std::min(high, dims - 1);
      if (low == high) high += 0.001;  // Kimi K2: beta_fast = beta_slow
      const double ramp = std::clamp((static_cast<double>(pair) - low) / (high - low), 0.0, 1.0);
      return ramp * f / rope.factor + (1 - ramp) * f;
    }
    case RotarySpec::Kind::none:
      return 0;
  }
  throw BadCase("a rotary embedding of no kind");
}

}  // namespace

// Where several are there, transformers 5 takes rope_scaling before rope_parameters, and a rope_theta or
// partial_rotary_factor inside before the one outside.
RotarySpec read_rotary(const JsonNode& config, std::int64_t head_dim, const RotaryDefaults& defaults,
                       std::int64_t max_position, std::vector<std::string>& notes) {
  RotarySpec rope;
  rope.theta = config.find_number("rope_theta", 1.0, kMaxTheta).value_or(defaults.theta);

  // An empty object counts as absent, as it does there.
  std::optional<JsonNode> given = config.find("rope_scaling");
  if (given && given->keys().empty()) given.reset();
  if (const auto parameters = config.find("rope_parameters"); parameters && !parameters->keys().empty()) {
    if (given) {
      notes.push_back("rope_parameters is ignored: rope_scaling is given too and comes first in transformers");
    } else {
      given = parameters;
    }
  }
  rope.dims = read_dims(config, given, head_dim, defaults, notes);
  if (!given) return rope;

  for (const char* nested : {"full_attention", "sliding_attention"}) {
    if (given->has(nested)) given->fail(nested, "rope per kind of layer is not supported yet");
  }
  if (const auto theta = given->find_number("rope_theta", 1.0, kMaxTheta)) rope.theta = *theta;

  const auto rope_type = given->find_string("rope_type", 32);
  const auto old_type = given->find_string("type", 32);
  if (rope_type && old_type && *rope_type != *old_type) {
    notes.push_back(fmt::format("rope type \"{}\" is ignored: rope_type says \"{}\"", *old_type, *rope_type));
  }
  if (const auto beta = given->find_number("llama_4_scaling_beta", 0, 1e3); beta && *beta != 0 && !defaults.tempered)
    given->fail(
        "llama_4_scaling_beta",
        fmt::format("this model_type multiplies queries by nothing; expected 0 or no such key, got {:g}", *beta));
  const std::string type = rope_type ? *rope_type : old_type.value_or("default");
  if (type != "dynamic" && given->has("alpha"))
    given->fail("alpha", fmt::format("is of rope type \"dynamic\"; this one is \"{}\"", type));
  if (type == "default") return rope;
  // Sections of the pairs turn by time, height and width, which of text are one number.
  if (type == "mrope") return rope;
  if (type == "linear") {
    rope.kind = RotarySpec::Kind::linear;
    rope.factor = given->get_number("factor", 1.0, kMaxFactor);
  } else if (type == "llama3") {
    read_llama3(config, *given, max_position, rope);
  } else if (type == "yarn") {
    read_yarn(config, *given, max_position, rope);
  } else if (type == "dynamic") {
    if (const auto alpha = given->find_number("alpha", 1e-6, 1e9)) {
      // Hunyuan: another base, whatever the length.
      const auto d = static_cast<double>(head_dim);
      if (head_dim > 2) rope.theta *= std::pow(*alpha, d / (d - 2));
    } else {
      notes.push_back("dynamic rope is plain up to max_position_embeddings, and nothing is measured beyond");
    }
  } else {
    const std::vector<std::string> known{"default", "dynamic", "linear", "llama3", "mrope", "yarn"};
    given->fail(rope_type ? "rope_type" : "type", fmt::format("rope type \"{}\" is not supported yet{}; known are: {}",
                                                              type, did_you_mean(type, known), fmt::join(known, ", ")));
  }
  return rope;
}

void fill_rotary_table(const RotarySpec& rope, const Tensor& cos, const Tensor& sin) {
  const std::int64_t half = cos.dim(1), positions = cos.dim(0);
  for (std::int64_t i = 0; i < half; ++i) {
    const bool turned = rope.turned_pairs == 0 || i < rope.turned_pairs;
    const float f = turned ? static_cast<float>(frequency(rope, i)) : 0.0f;
    for (std::int64_t p = 0; p < positions; ++p) {
      const float angle = static_cast<float>(p) * f;
      cos.store(p * half + i, std::cos(static_cast<double>(angle)) * rope.table_scale);
      sin.store(p * half + i, std::sin(static_cast<double>(angle)) * rope.table_scale);
    }
  }
}

void fill_temperatures(const QueryTemperature& t, const Tensor& scale) {
  for (std::int64_t p = 0; p < scale.dim(0); ++p) {
    const float turns = std::floor(static_cast<float>(p + t.offset) / static_cast<float>(t.every));
    scale.store(p, std::log1p(turns) * static_cast<float>(t.beta) + 1.0f);
  }
}

}  // namespace layercost
