// What:    one decoder layer of a model (or its head) as data: an ordered list of op cases with the buffers and weights
//          they are bound to. The one place where a layer is written down: measuring, checking, counting parameters,
//          cache and memory are walks over it. Families make it (harness/plan/families), through LayerBuilder.
// Shapes:  the residual stream is [batch * q_len, hidden]. Caches are [batch, kv_heads, capacity, head_dim].
// Roles:   whoever walks a plan finds its way by the roles of buffers; names are for messages and tables.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/plan/rotary.h"
#include "harness/plan/step.h"
#include "kernels/contract/op.h"

namespace layercost {

enum class BufferRole {
  input,       // the layer's own input; one row per token
  output,      // its result; one row per token
  activation,  // between two ops of the layer; one row per token
  expert_ids,  // [tokens, top_k], what the router chose or was told
  forced_ids,  // [tokens, top_k], from outside: each layer of a stack has its own
  counts,      // per expert; no rows
  cache,       // [batch, ...], kept from step to step: each layer has its own
  rotary_cos,  // [capacity, dims / 2], filled from LayerPlan::rotary
  rotary_sin,
  state,       // [batch, ...], what earlier tokens left of themselves, of one size whatever their number: read only,
               // so that a step can be repeated; each layer has its own
  next_state,  // what the step makes of it, for the next one
  // Of a layer whose experts are shared among devices (expert_parallel.h), the same in every pass:
  from_outside,  // one row per token, what other devices return; an embedding
  ones,          // f32, one row per token
  row_numbers,   // i32, 0, 1, 2, ...
  // Of attention whose queries have a temperature. (Digests hold these numbers: a new role stands last.)
  query_scale,  // [capacity], filled from LayerPlan::temperature
  // Of sparse attention, [tokens, keys]: the positions of the keys that each query sees.
  selection,        // as this layer's indexer chose
  given_selection,  // as the indexer of a layer before it chose: from outside, the same in every pass
};

// A state's buffer after the step, of its name before it.
inline std::string after_step(const std::string& state) { return "next " + state; }

struct BufferSpec {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  BufferRole role = BufferRole::activation;
  std::optional<std::int64_t> window = {};  // of a cache: no later step asks for more of its positions (third axis)
  double bytes() const;
  double needed_bytes() const;  // without what the window leaves behind
};

struct WeightSpec {
  std::string name;  // in the plan: "qkv_w", "experts_gate_up", ...
  const WeightFormat* format = nullptr;
  Shape shape;
  float mean = 0, sigma = 1;  // of the synthetic values
  // The checkpoint's tensors, without "model.layers.N.", whose elements follow one another in row-major order, each
  // with its shape in the checkpoint. Of some only `rows` rows from `first_row` on, whole otherwise: where a checkpoint
  // has the rows of a layer's several matrices in turns, and where a device has a part of a matrix.
  struct Source {
    std::string tensor;
    Shape shape;
    std::int64_t first_row = 0, rows = 0;
    std::int64_t first_column = 0, columns = 0;  // of a matrix, likewise
    bool is_whole() const { return rows == 0 && columns == 0; }
    std::int64_t row_elements() const { return columns > 0 ? columns : elements_of(shape) / shape[0]; }
    std::int64_t elements() const { return (rows > 0 ? rows : shape[0]) * row_elements(); }
  };
  std::vector<Source> sources;  // none where the values follow a rule
  // Value i of a vector that no checkpoint has to hold: it follows from the layer's number in the model, and counts as
  // no parameter. Null: values are read or drawn.
  std::function<float(std::int64_t layer, std::int64_t i)> rule = {};
  const WeightFormat* stored = nullptr;  // what a checkpoint has it in and bytes() counts, where `format` is another
  float added = 0;                       // to the checkpoint's values: 1 where a norm's weights are stored as w - 1
  float times = 1;                       // what the checkpoint's values are multiplied by, before that
  bool per_expert = false;               // the first axis counts experts, of which a token uses top_k
  bool quantisable = false;  // a matrix that a config of quantised weights may mean: no vector, not the router's
  bool separable = false;    // its sources may have formats of their own: LayerBuilder::fused_linear
  double bytes() const;
};

struct PlannedOp {
  std::string component;  // "qkv", "experts", ...: what tables show
  OpCase op_case;
  std::map<std::string, std::string> bind;  // tensor of the op -> buffer or weight of the plan
};

// How tokens choose among experts.
struct ExpertChoice {
  std::int64_t experts = 0, top_k = 0;
  bool operator==(const ExpertChoice&) const = default;
};

struct LayerPlan {
  std::string kind;        // "dense", "moe", "dense window=4096", "moe chunk=8192", "head"
  std::int64_t count = 0;  // in the model
  StepShape shape;
  // The output is the residual stream, input included. A head's is logits, and every copy of it reads the same input.
  bool adds_to_input = true;
  std::int64_t partial_sums = 0;  // of a rank: results that are to be added over all ranks
  // Of a checkpoint: its values are kept beside what is packed from them.
  bool stored_weights = false;
  RotarySpec rotary;
  QueryTemperature temperature;
  std::vector<BufferSpec> buffers;
  std::vector<WeightSpec> weights;
  std::vector<PlannedOp> ops;
  // Tensors that some checkpoints have of values that follow a rule.
  std::vector<std::string> ignored_tensors;

  const BufferSpec& buffer(BufferRole) const;       // the only one with this role; BadCase if there is none
  const BufferSpec* find_buffer(BufferRole) const;  // null if there is none
  // The op that writes the expert ids; null in a layer without experts, and where the ids come from outside.
  const PlannedOp* router() const;
  // The ids that its experts are chosen by: what a router wrote, or what came from outside. Null without experts.
  const BufferSpec* chosen_ids() const;
  std::optional<ExpertChoice> experts() const;

  double weight_bytes() const;        // all of it, every expert
  double held_weight_bytes() const;   // in this process, see WeightFormat::held_bytes
  double cache_bytes() const;         // of all positions
  double needed_cache_bytes() const;  // of those within the windows
  double state_bytes() const;         // of all sequences; a layer holds the state before and after
  double activation_bytes() const;
  // What every layer of a stack has of its own.
  double held_bytes() const { return held_weight_bytes() + cache_bytes() + 2 * state_bytes(); }
  // Weights and cache that one pass touches, given the distinct experts: what has to come from memory.
  double touched_bytes(const WorkFacts&) const;
};

// How many layers a stack has: the least R with (R - 1) * touched >= 2 * last-level cache, as far as memory and a limit
// of 512 layers allow.
struct StackSize {
  std::int64_t layers = 1;
  double reuse_distance_bytes = 0;
  bool cold = true;       // reuse distance reached
  double need_bytes = 0;  // for `layers` layers
};
// keeps_codes: the rows of weights in codes stay beside what variants pack from them, as on a CPU, where the check
// reads them.
StackSize stack_size(const LayerPlan&, const WorkFacts&, double last_level_cache_bytes, double memory_bytes,
                     bool keeps_codes);

}  // namespace layercost
