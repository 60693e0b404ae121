// What:    a model as its family read it from a Hugging Face config.json: the sizes every model has, and its kinds of
//          layer, each of which can write itself down as a LayerPlan.
// Units:   element counts; bytes where the name says so.
// Errors:  BadInput naming file, key, value and what was expected.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/plan/layer_plan.h"
#include "harness/spec/quantization.h"

namespace layercost {

class LayerBuilder;
struct DecoderBlocks;  // blocks/decoder_layer.h

// The formats that a config or a GGUF file gives to quantised matrices, by WeightSpec::name, or where the sources of
// one differ, by their tensors; what is not named is left as it was.
using MatrixFormats = std::map<std::string, const WeightFormat*>;

// Layers of one kind differ in their weights alone.
struct LayerKind {
  std::string name;                               // "dense", "moe", "dense window=4096": all that tells it from others
  std::function<void(LayerBuilder&)> lower = {};  // writes its plan
  MatrixFormats formats = {};                     // of a quantised model
  std::function<LayerPlan(LayerPlan)> part = {};  // what a device of several does of it (expert_parallel.h); null: all
  std::shared_ptr<const DecoderBlocks> blocks = {};  // that `lower` writes, where they can be exchanged (what_if.h)
};

// What follows the last layer: the final norm, and a product with a matrix of `rows` x hidden, if there is one.
struct HeadSpec {
  enum class Kind {
    language,  // LM head: a logit per word
    score,     // of a reward or classification model: a logit per label
    none,      // of an embedding model
  };
  Kind kind = Kind::language;
  std::int64_t rows = 0;
};

struct ModelSpec {
  std::string name;  // "qwen3-30b-a3b"; of a foreign config.json, its folder's name
  std::string id;    // "Qwen/Qwen3-30B-A3B"; "" for a foreign config.json
  std::string path;  // the file it was read from
  std::string model_type;
  std::int64_t hidden = 0, layers = 0;
  std::int64_t vocab = 0, max_position = 0;  // max_position 0: not given
  double rms_norm_eps = 1e-6;
  HeadSpec head;
  bool norms_from_one = false;                       // norms' weights are stored as w - 1
  bool tied_embeddings = false;                      // the LM head's matrix is the embedding's
  std::vector<LayerKind> kinds;                      // in order of first appearance
  std::vector<std::size_t> kind_of_layer;            // one per layer
  std::optional<ExpertChoice> experts;               // of the layers that have any
  std::vector<std::string> notes;                    // what was ignored on purpose, e.g. auto_map
  std::shared_ptr<const Quantization> quantization;  // null: the config says nothing of it
  MatrixFormats head_formats;
  // Layers for multi-token prediction that the config publishes: how many, and one of them. No step has one; with_mtp()
  // makes it a kind of the model's all the same.
  std::int64_t mtp_layers = 0;
  LayerKind mtp = {};  // without a name: none
  // Of one of several devices that share the experts (expert_parallel.h), or of several ranks that share every layer
  // (tensor_parallel.h): the model itself, how many they are, and which rank it is.
  std::shared_ptr<const ModelSpec> whole;
  std::int64_t devices = 1, ranks = 1, rank = 0;
  bool trained = true;  // false: blocks were exchanged (what_if.h), and no checkpoint has its weights

  // The next layer. `lower` is only used for the first layer of a kind.
  void add_layer(std::string kind, std::function<void(LayerBuilder&)> lower,
                 std::shared_ptr<const DecoderBlocks> blocks = {});
  const LayerKind& layer(std::int64_t i) const { return kinds[kind_of_layer[static_cast<std::size_t>(i)]]; }
  std::int64_t count_of(const LayerKind&) const;
};

// Gives every layer's matrices their formats. Layers of one kind that get others become kinds of their own.
void split_kinds(ModelSpec&, const std::function<MatrixFormats(std::size_t layer)>& formats_of_layer);

// The model with its layer for multi-token prediction among its kinds, of which a step has none: "deepseek-v3@mtp".
// BadInput where the config publishes none.
ModelSpec with_mtp(const ModelSpec&);

LayerPlan plan_layer(const ModelSpec&, const LayerKind&, const StepShape&);
// Final norm and what the head multiplies with; `sequences` rows go through it.
LayerPlan plan_head(const ModelSpec&, std::int64_t sequences, const StepShape&);

// The weights as a quantised model's config has them, its other tensors in `rest`; of another model all in `rest`.
WeightTypes weights_by_config(const ModelSpec&, DType rest);

// Reads a config.json (at most 8 MB, depth 64). `path` is the file or a folder that holds one. Of quantised weights,
// said by a key of its own or by a hf_quant_config.json beside it, every matrix gets its format. Of a model of text and
// pictures the language part is read. `architecture` ("Qwen3Model") is taken instead of what the config says under
// `architectures`.
ModelSpec read_model(const std::filesystem::path& path, const std::string& architecture = {});

// A name from configs/models ("qwen3-4b", "Qwen/Qwen3-4B"; case does not matter), or a path to a config.json or folder.
// An unknown name is a BadInput with the nearest known one. With "@ep32" behind it: one of 32 devices that share the
// model's experts; with "@tp8": of 8 ranks; with "@mtp": with_mtp(); with "@twin2", "@dense" and so on: what_if.h.
// "name@tp8@ep32" is both, "name@twin2@tp8" too.
ModelSpec find_model(const std::string& name_or_path, const std::filesystem::path& configs_dir,
                     const std::string& architecture = {});

// Names of all shipped models, sorted.
std::vector<std::string> list_models(const std::filesystem::path& configs_dir);

// The model_types that have a lowering.
std::vector<std::string> known_model_types();

}  // namespace layercost
