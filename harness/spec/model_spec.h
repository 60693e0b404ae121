// What:    the shape of a model as the planner needs it, read from a Hugging Face config.json.
// Units:   element counts; bytes where the name says so.
// Errors:  BadInput naming file, key, value and what was expected.
// Source:  key names and irregularities: the public transformers classes of each family.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace layercost {

struct RopeSpec {
  enum class Kind { plain, linear, llama3 };
  Kind kind = Kind::plain;
  double theta = 10000.0;
  double factor = 1.0;            // linear, llama3
  double low_freq_factor = 1.0;   // llama3
  double high_freq_factor = 4.0;  // llama3
  std::int64_t original_max_position = 0;  // llama3
};

struct MoeSpec {
  std::int64_t experts = 0;
  std::int64_t top_k = 0;
  std::int64_t ffn_hidden = 0;    // width of one expert
  bool renormalise = true;        // weights of the chosen experts are divided by their sum
  // Names of the tensors below "model.layers.N." differ between families:
  //   qwen3_moe: mlp.gate.weight, mlp.experts.E.{gate,up,down}_proj.weight
  //   mixtral:   block_sparse_moe.gate.weight, block_sparse_moe.experts.E.{w1,w3,w2}.weight
  std::string prefix;             // "mlp" or "block_sparse_moe"
  std::string gate_name, up_name, down_name;  // of an expert: "gate_proj" or "w1", ...
};

// What distinguishes one decoder layer from another within a model.
struct LayerKind {
  bool is_moe = false;
  std::int64_t window = 0;        // 0: full attention; else key j is visible to query i when i - j < window
  bool operator==(const LayerKind&) const = default;
};

struct ModelSpec {
  std::string name;               // "qwen3-30b-a3b"; of a foreign config.json, its folder's name
  std::string id;                 // "Qwen/Qwen3-30B-A3B"; "" for a foreign config.json
  std::string path;               // the file it was read from
  std::string model_type;
  std::int64_t hidden = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0;
  std::int64_t ffn_hidden = 0;    // width of a dense layer's MLP; 0 if no layer is dense
  std::int64_t vocab = 0, max_position = 0;  // max_position 0: not given
  double rms_norm_eps = 1e-6;
  RopeSpec rope;
  bool tied_embeddings = false;
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  bool qk_norm = false;           // RMSNorm per head on q and k before rope
  std::optional<MoeSpec> moe;
  std::vector<LayerKind> layer_kinds;  // one per layer
  std::vector<std::string> notes; // what was ignored on purpose, e.g. auto_map

  std::int64_t q_dim() const { return heads * head_dim; }
  std::int64_t kv_dim() const { return kv_heads * head_dim; }
};

struct ParameterCount {
  std::int64_t total = 0;          // embedding, layers, final norm, LM head (once if tied)
  std::int64_t active = 0;  // layers with top_k experts, final norm and LM head; no embedding: the *promised* count
  std::int64_t active_layers = 0;  // layers only
};
ParameterCount count_parameters(const ModelSpec&);

// Elements of K and V that one token adds over all layers.
std::int64_t kv_elements_per_token(const ModelSpec&);

// Reads a config.json (at most 1 MB, depth 64). `path` is the file or a folder that holds one. One of quantised weights
// is refused, by a key of its own or by a hf_quant_config.json beside it.
ModelSpec read_model(const std::filesystem::path& path);

// A name from configs/models ("qwen3-4b", "Qwen/Qwen3-4B"; case does not matter), or a path to a config.json or folder.
// An unknown name is a BadInput with the nearest known one.
ModelSpec find_model(const std::string& name_or_path, const std::filesystem::path& configs_dir);

// Names of all shipped models, sorted.
std::vector<std::string> list_models(const std::filesystem::path& configs_dir);

// The model_types that have a lowering.
std::vector<std::string> known_model_types();

}  // namespace layercost
