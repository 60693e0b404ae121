// What:    rotary position embeddings: what a config says of them, and the table of cosines and sines that follows.
// Formula: of pair i of n = dims / 2: f_i = theta^(-2i / dims), then by kind
//            linear   f / factor
//            llama3   by wavelength: long waves / factor, short ones as they are, a blend between
//            yarn     ramp(i) f / factor + (1 - ramp(i)) f, ramp rising from 0 to 1 between the pairs that turn
//                     beta_fast and beta_slow times within the original context
//            none     0: nothing is turned
//          cos and sin of position * f, times table_scale. A temperature of queries:
//            1 + beta ln(1 + floor((position + offset) / every))
// Source:  transformers 5.23 (modeling_rope_utils), Peng et al., "YaRN", 2023.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/spec/json_reader.h"
#include "kernels/core/tensor.h"

namespace layercost {

struct RotarySpec {
  enum class Kind { plain, linear, llama3, yarn, none };
  Kind kind = Kind::plain;
  std::int64_t dims = 0;          // of a head that are rotated, the first ones; even
  std::int64_t turned_pairs = 0;  // of the dims / 2, the first ones; the others stay. 0: all are turned
  bool interleaved = false;       // pairs are neighbours (2i, 2i + 1); else the halves (i, i + dims / 2)
  double theta = 10000.0;
  double factor = 1.0;                     // linear, llama3, yarn
  double low_freq_factor = 1.0;            // llama3
  double high_freq_factor = 4.0;           // llama3
  std::int64_t original_max_position = 0;  // llama3, yarn
  double beta_fast = 32, beta_slow = 1;    // yarn
  bool truncate = true;                    // yarn: the ramp begins and ends at whole pairs
  double table_scale = 1.0;                // yarn: cos and sin are multiplied by it
  // yarn: what mscale_all_dim asks for, of models that multiply their scores by it (DeepSeek's).
  double score_scale = 1.0;
};

// What queries are multiplied by, of models that sharpen attention as the context grows.
struct QueryTemperature {
  double beta = 0;  // 0: 1 everywhere
  std::int64_t every = 1, offset = 0;
  bool is_one() const { return beta == 0; }
};

// What a family says that the config need not.
struct RotaryDefaults {
  double theta = 10000.0;
  // What an absent partial_rotary_factor means, in a family that may rotate a part of each head; null: whole heads, and
  // a config that says otherwise is refused.
  std::optional<double> part = {};
  bool tempered = false;  // llama_4_scaling_beta is read, by the family; else it is refused
};

// From `rope_theta`, `partial_rotary_factor` and `rope_scaling` (transformers 4) or `rope_parameters` (5). What is
// ignored on purpose is added to `notes`.
RotarySpec read_rotary(const JsonNode& config, std::int64_t head_dim, const RotaryDefaults&, std::int64_t max_position,
                       std::vector<std::string>& notes);

// cos and sin [positions, dims / 2] as the public implementation computes them: frequencies and angles in f32.
void fill_rotary_table(const RotarySpec&, const Tensor& cos, const Tensor& sin);
// scale [positions], in f32 as there.
void fill_temperatures(const QueryTemperature&, const Tensor& scale);

}  // namespace layercost
