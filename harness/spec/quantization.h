// What:    what a config says of quantised weights: which matrices, in which format (kernels/core/weight_format.h),
//          laid down how. docs/formats.md has the table.
//            fp8                 DeepSeek: blocks of 128 x 128; transformers' per tensor
//            fbgemm_fp8          a scale per row
//            compressed-tensors  fp8 (rows, tensor, blocks), int4, mxfp4, nvfp4; groups with targets, an ignore list
//            mxfp4               gpt-oss: fused experts alone
//            awq, gptq           int4
//            modelopt            nvfp4, fp8
// Rules:   nothing unknown passes: a method, an option or a value that is not understood is refused with key, value,
//          expectation and nearest spelling, because a guessed packing gives plausible wrong numbers. Options that only
//          say how a file came to be are listed as such and read over.
//          The router's matrix is never quantised; embedding and LM head only where a list of targets reaches them.
// Errors:  BadInput naming file, key, value and expectation.
// Source:  transformers 5.23 (utils/quantization_config.py), compressed-tensors 0.20.1 (quantization/quant_config.py),
//          NVIDIA ModelOpt 0.33's hf_quant_config.json, AutoAWQ 0.2.9, AutoGPTQ 0.7.1.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/spec/json_reader.h"
#include "harness/spec/name_pattern.h"
#include "kernels/core/weight_format.h"

namespace layercost {

// Which tensors a quantised matrix is, behind the name of its module.
enum class Packing {
  fp8_inverse,     // weight e4m3, weight_scale_inv (which multiplies): of blocks, or of the tensor
  fp8,             // weight e4m3, weight_scale: of rows, of the tensor, or of blocks
  int_packed,      // weight_packed int32 along the columns, weight_scale, weight_shape [weight_zero_point along rows]
  mxfp4_packed,    // weight_packed uint8, weight_scale uint8
  nvfp4_packed,    // weight_packed uint8, weight_scale e4m3, weight_global_scale, by which scales are divided
  nvfp4_modelopt,  // weight uint8, weight_scale e4m3, weight_scale_2, by which scales are multiplied
  mxfp4_blocks,    // of fused experts: NAME_blocks uint8 [E, n, k / 32, 16], NAME_scales uint8 [E, n, k / 32]
  awq,             // qweight int32 [k, n / 8] in the order 0 2 4 6 1 3 5 7, qzeros likewise, scales [k / g, n]
  gptq,            // qweight int32 [k / 8, n], qzeros [k / g, n / 8] less one, scales [k / g, n], g_idx [k]
  gptq_v2,         // the same with zeros as they are
};
std::string_view to_string(Packing);

struct QuantizationScheme {
  const WeightFormat* format = nullptr;
  Packing packing = Packing::fp8;
  bool operator==(const QuantizationScheme&) const = default;
};

class Quantization {
 public:
  // `config`: the object under quantization_config or the like. `method`: what its file says by its name alone, where
  // the object itself need not.
  Quantization(const JsonNode& config, std::string_view method = {});

  const std::string& method() const { return method_; }
  // "file: place" of the config, for messages.
  const std::string& place() const { return place_; }
  const std::vector<std::string>& notes() const { return notes_; }
  // The format of most matrices, whose name stands for the whole.
  const WeightFormat& main_format() const { return *groups_.front().scheme.format; }
  // Of a module by its full name, "model.layers.0.mlp.experts.3.up_proj"; nothing: it is left as it was. A router is
  // for the caller to leave out.
  std::optional<QuantizationScheme> scheme_of(std::string_view module) const;
  // Whether some list may tell one expert of a layer from another.
  bool names_experts() const { return names_experts_; }
  std::size_t patterns() const;  // of all lists together: what asking for one module may cost

 private:
  enum class Reach { linears, experts };  // what a group without patterns covers
  struct Group {
    QuantizationScheme scheme;
    Reach reach = Reach::linears;
    bool head = false;  // the LM head, too, unless it is ignored
    bool any = true;    // every matrix; else those of `targets`
    std::vector<NamePattern> targets = {};
  };

  void read_fp8(const JsonNode&);
  void read_fbgemm(const JsonNode&);
  void read_compressed_tensors(const JsonNode&);
  void read_mxfp4(const JsonNode&);
  void read_awq(const JsonNode&);
  void read_gptq(const JsonNode&);
  void read_modelopt(const JsonNode&);
  void ignore(const JsonNode& config, std::string_view key, NamePattern::Dialect);
  NamePattern pattern(const JsonNode& entry, NamePattern::Dialect, std::string text);

  std::string method_, place_;
  std::vector<Group> groups_;
  std::vector<NamePattern> ignored_;
  std::vector<std::string> notes_;
  bool names_experts_ = false;
};

}  // namespace layercost
