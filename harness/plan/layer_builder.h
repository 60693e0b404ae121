// What:    how families and shared blocks write a LayerPlan down: buffers, weights with their place in the checkpoint,
//          and the two ops that every block uses. Every function returns the name under which others bind what it made.
// Weights: synthetic matrices have standard deviation k^-1/2, so that outputs are as large as inputs; norms lie
//          around 1, biases around 0.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/plan/layer_plan.h"
#include "harness/plan/model.h"

namespace layercost {

struct LinearOptions {
  std::string bias = {}, residual = {};   // names; "" none
  std::optional<DType> y_type = {};       // else the activations'
  std::int64_t y_first = 0, y_width = 0;  // of a product that makes a range of y's columns: where, and of how many
};

class LayerBuilder {
 public:
  using Sources = std::vector<WeightSpec::Source>;

  // `formats`: what a quantised model's config gives to this layer's matrices.
  LayerBuilder(const ModelSpec& m, const StepShape& s, const MatrixFormats& formats = kNone)
      : m_(m), s_(s), formats_(formats) {
    plan_.shape = s;
  }
  const ModelSpec& model() const { return m_; }
  const StepShape& shape() const { return s_; }
  std::int64_t tokens() const { return s_.tokens(); }
  LayerPlan& plan() { return plan_; }

  // The part of n heads, columns, rows ... that a rank of several has (tensor_parallel.h); of one rank all. BadCase
  // where the ranks do not divide them.
  struct Part {
    std::int64_t first = 0, count = 0;
  };
  Part part_of(std::int64_t n, const std::string& what) const;
  // What is added once over all ranks.
  bool is_first_rank() const { return m_.rank == 0; }
  // Before the product that ends a block.
  void partial_sum() { plan_.partial_sums += m_.ranks > 1 ? 1 : 0; }
  // Rows of a tensor, or columns of a matrix; all of them as a whole tensor.
  static WeightSpec::Source rows_of(std::string tensor, Shape, const Part&);
  static WeightSpec::Source columns_of(std::string tensor, Shape, const Part&);

  std::string buffer(const std::string& name, BufferRole, DType, Shape);
  // [tokens, width] in the activation type.
  std::string activation(const std::string& name, std::int64_t width, BufferRole = BufferRole::activation);

  // In the format of matrices, or in the type that something else has and no format changes.
  std::string matrix(const std::string& name, Shape, Sources, std::optional<DType> = {});
  std::string expert_matrices(const std::string& name, Shape, Sources);  // [experts, n, k]
  // Of a matrix that was made: what ops say as w_type.
  const WeightFormat& format_of(const std::string& matrix) const;
  // Of a norm around 1; of a model whose checkpoint stores w - 1 (ModelSpec::norms_from_one) made as w, in f32.
  std::string norm_weight(const std::string& name, std::int64_t n, const std::string& tensor);
  // Of a norm whose weights are the tensor's times `times`, in f32.
  std::string scaled_norm_weight(const std::string& name, std::int64_t n, const std::string& tensor, float times);
  std::string bias(const std::string& name, Sources);
  std::string expert_biases(const std::string& name, Shape, Sources);  // [experts, n]
  // A vector that stays f32 in every checkpoint.
  std::string f32_vector(const std::string& name, std::int64_t n, const std::string& tensor,
                         bool stored_as_row = false);
  // f32 values that follow from the layer's number (WeightSpec::rule).
  std::string rule_vector(const std::string& name, std::int64_t n,
                          std::function<float(std::int64_t layer, std::int64_t i)> rule);
  // The state behind `name` before and after this step, [batch, ...]: names for tensors `state` and `next_state` of an
  // op. A prompt's first step reads none, and the first name is "".
  struct StateNames {
    std::string before, after;
  };
  StateNames state(const std::string& name, DType, Shape of_a_sequence);
  bool continues() const { return s_.kv_len > s_.q_len; }  // this step is not its sequences' first

  void op(std::string component, OpCase, std::map<std::string, std::string> bind);
  // x_type, w_type and y_type of an op between activations; its weights are vectors.
  void types(OpCase&) const;

  // y = norm(x), or with a residual: sum = x + residual, y = norm(sum). eps: else the model's. With an addend: y =
  // (norm(x) + addend) * scale.
  void rms_norm(const std::string& component, const std::string& x, const std::string& w, const std::string& y,
                std::int64_t width, const std::string& residual = {}, const std::string& sum = {},
                std::optional<double> eps = {}, const std::string& addend = {}, const std::string& scale = {});
  // normed = norm(residual_times * residual + x_times * x), stream = y_times * normed: of layers whose stream goes on
  // from their norms.
  struct StreamFactors {
    double x_times = 1, residual_times = 1, y_times = 1;
  };
  void rms_norm_of_stream(const std::string& component, const std::string& x, const std::string& residual,
                          const std::string& w, const std::string& normed, const std::string& stream,
                          std::int64_t width, const StreamFactors&);
  // y = x * sigmoid(gate); a gate per element, or for width / gates neighbours.
  void sigmoid_gate(const std::string& component, const std::string& x, const std::string& gate, const std::string& y,
                    std::int64_t width, std::int64_t gates);
  void linear(const std::string& component, const std::string& x, const std::string& w, const std::string& y,
              std::int64_t n, std::int64_t k, const LinearOptions& = {});
  // Makes the matrix `w` of `sources`, too. Where those have different formats, each run of one format is a matrix and
  // a product of its own, named after what it is made of. A bias has a source for each of the matrix's.
  void fused_linear(const std::string& component, const std::string& x, const std::string& w, Sources sources,
                    const std::string& y, std::int64_t k, const LinearOptions& = {});

 private:
  const WeightFormat* format_in(const std::string& name, const WeightFormat* otherwise) const;
  void add_matrix(const std::string& name, const WeightFormat*, Shape, Sources);
  std::string part_of_bias(const std::string& name, std::size_t first, std::size_t end, const std::string& part);
  static const MatrixFormats kNone;
  const ModelSpec& m_;
  const StepShape s_;
  const MatrixFormats& formats_;
  LayerPlan plan_;
};

}  // namespace layercost
