// What:    the weights of a model's layers wherever they lie: safetensors as its library packs them, or a GGUF file.
// Asked
//          by the names of Hugging Face's checkpoints, "model.layers.3.mlp.experts.5.up_proj.weight".
//          Experts come one tensor each or all in one. Which, the names say: "experts.gate_up_proj" beside
//          "experts.5...", "ffn_up_exps" beside "ffn_up.5"; a shape is only ever compared with the one that goes with
//          the name. Where all experts' biases lie beside them ("experts.gate_up_proj_bias": gpt-oss), rows of gate and
//          up come in turns, and plain matrices lie with the input first; "feed_forward.experts.gate_up_proj" (llama4)
//          has the input first, and gate before up. GGUF: "blk.3.attn_q.weight", ...; the rows of
//          q and k of the architecture "llama" (Mixtral is one, too) are stored with the two halves of each head in
//          turns and are put back (llama.cpp's converter, LlamaModel.permute).
// Rules:   only the tensors asked for are read.
// Errors:  BadInput naming file, tensor and expectation.
// Source:  llama.cpp's gguf-py tensor_mapping.py as of PyPI's gguf 0.19.0; transformers 5.23
// (modeling_gguf_pytorch_utils)
//          turns the same rows back.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "harness/spec/packed_weights.h"

namespace layercost {

class Checkpoint {
 public:
  // One path: a file of either format, an index, or a folder of safetensors; several: safetensors. `quantization`: what
  // the model's config says; null: every tensor is plain.
  explicit Checkpoint(const std::vector<std::filesystem::path>& paths,
                      std::shared_ptr<const Quantization> quantization = {});

  const std::string& source() const;  // what the user named, for messages
  bool is_gguf() const { return gguf_ != nullptr; }
  std::vector<std::string> names() const;  // of the tensors, as the file has them; sorted
  // Whether there is a tensor with plain values of this name.
  bool has(const std::string& name) const;
  // Tensors below `place` ("model.layers.3.") that belong to none of `sources`, which are named without it. A packed
  // matrix's scales, shapes and zero points belong to it; tables of the rotation, which older files carry, to the
  // layer.
  std::vector<std::string> unused(const std::string& place, const std::vector<std::string>& sources) const;
  // The format in which a GGUF file holds a tensor; null for plain values.
  const WeightFormat* stored_format(const std::string& name) const;

  // Plain values. BadInput unless the tensor has this shape.
  void read_f32(const std::string& name, std::span<const std::int64_t> shape, std::span<float> out);
  // Codes of a tensor [rows, columns]. Returns the matrix's factor, 1 in formats without.
  float read_coded(const std::string& name, const CodedRows& out);

 private:
  // Where a tensor lies in a file: all of one, or rows of one matrix of several.
  struct Place {
    std::string tensor;
    std::optional<std::int64_t> matrix = {};
    std::int64_t first_row = 0;
    std::int64_t step = 1;     // from row to row: 2 where gate and up come in turns
    bool input_first = false;  // the file has columns where the matrix has rows
  };
  void read_fused_f32(const Place&, std::span<const std::int64_t> shape, std::span<float> out);
  Place place(const std::string& name, std::int64_t rows) const;
  Place gguf_place(const std::string& name) const;
  // Of a GGUF tensor: the row in the file that is row `row` of the matrix.
  std::int64_t gguf_row(const Place&, std::int64_t rows, std::int64_t row) const;
  template <class F>
  void for_gguf_rows(const std::string& name, const Shape& shape, const F& f) const;

  std::shared_ptr<const Quantization> quantization_;
  std::unique_ptr<CheckpointReader> safetensors_;
  std::unique_ptr<GgufFile> gguf_;
};

}  // namespace layercost
