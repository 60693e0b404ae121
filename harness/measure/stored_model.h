// What:    the weights of a model's layers in a checkpoint: where they lie, in which formats, and how a layer of a plan
//          gets them.
// Rules:   of a GGUF file, formats are those of its tensors; else they are what the config says. A checkpoint may hold
//          some of the layers alone.
// Errors:  BadInput naming file, tensor and expectation.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/measure/layer.h"
#include "harness/plan/model.h"
#include "harness/spec/checkpoint.h"

namespace layercost {

// What stands before "layers.N." in a checkpoint's names: "model." of most, "" of bare models, "model.language_model."
// of models that read pictures too. Found by the layer's first tensor; where several fit, those three in this order.
// BadInput if none does, or another choice would have to be made.
std::string find_prefix(const Checkpoint&, const LayerPlan&, std::int64_t layer);
// In a GGUF file, the formats of the plan's matrices below `place` ("model.layers.3."). BadInput where matrices that
// are multiplied with as one have several and the plan cannot take them apart (WeightSpec::separable).
MatrixFormats stored_formats(const Checkpoint&, const LayerPlan&, const std::string& place);
// A layer without one of its tensors, such as a bias, is another layer, and may agree by chance or be called wrong for
// no fault of a kernel. BadInput naming the tensors below `place` that no weight of the plan is made of.
void refuse_unused_tensors(const Checkpoint&, const LayerPlan&, const std::string& place);

class StoredModel {
 public:
  // Finds the model's layers in the checkpoint. Of a GGUF file it gives `model` the formats of the file: layers of one
  // kind whose matrices have others become kinds of their own. `prefix`: as of find_prefix; nothing: find it.
  StoredModel(ModelSpec& model, const std::vector<std::filesystem::path>& paths,
              const std::optional<std::string>& prefix = {});

  // As the checkpoint has them, its other tensors in `rest`.
  WeightTypes weights(DType rest) const;
  // The last part of the path, for results.
  const std::string& name() const { return name_; }
  // How many layers of a kind it holds.
  std::size_t layers_of(std::size_t kind) const { return layers_[kind].size(); }

  // Layer number `n` of those of kind `kind`, round and round; kind = number of kinds: the head. The plan is one of
  // that part.
  WeightSet read(const LayerPlan& plan, std::size_t kind, std::int64_t n);

 private:
  std::string head_tensor(const std::string& tensor) const;

  Checkpoint checkpoint_;
  std::string name_, prefix_;
  bool tied_ = false;
  const WeightFormat* main_format_ = nullptr;  // of a GGUF file: of most elements; null: it has plain values alone
  std::shared_ptr<const Quantization> quantization_;
  std::vector<std::vector<std::int64_t>> layers_;  // of each kind, the model's numbers of those that are there
};

}  // namespace layercost
