// What:    one decoder layer of a model as an ordered list of op cases, with the buffers and weights they are bound to.
//          The same plan is measured (synthetic weights, stacks) and proven (weights of a checkpoint).
// Shapes:  the residual stream is [batch * q_len, hidden]. Caches are [batch, kv_heads, capacity, head_dim].
// Layer:   norm -> qkv -> rope (q/k norm, cache append) -> attention -> o -> norm with residual add (sum as well)
//          -> gate_up -> glu -> down + residual        (dense)
//          -> router -> route -> experts + residual    (mixture of experts)
// Head:    final norm -> LM head, on the last token of each sequence.
// Absent:  of a real model: the embedding look-up (one row copied per token), sampling, tokenisation.
// Errors:  BadCase for impossible sizes; BadInput for a checkpoint without a tensor that the plan names.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "harness/plan/routing.h"
#include "harness/spec/model_spec.h"
#include "kernels/contract/op.h"

namespace layercost {

// The sizes of one step. Decode: q_len 1. Prefill: q_len = kv_len.
struct StepShape {
  std::int64_t batch = 1, q_len = 1;
  std::int64_t kv_len = 1;    // keys each sequence attends to, those of this step included
  std::int64_t capacity = 1;  // slots of the cache
  DType weight_type = DType::bf16, activation_type = DType::bf16, kv_type = DType::bf16;
  bool forced_routing = false;
  std::int64_t tokens() const { return batch * q_len; }
};

struct BufferSpec {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  enum class Kind { activation, cache, cos, sin } kind = Kind::activation;
};

struct WeightSpec {
  std::string name;  // in the plan: "qkv", "experts_gate_up", ...
  DType dtype = DType::f32;
  Shape shape;
  float mean = 0, sigma = 1;  // of the synthetic values
  // The checkpoint's tensors, without "model.layers.N.", whose elements follow one another in row-major order, each
  // with its shape in the checkpoint.
  struct Source {
    std::string tensor;
    Shape shape;
  };
  std::vector<Source> sources;
};

struct PlannedOp {
  std::string component;                    // "qkv", "experts", ...: what tables show
  OpCase op_case;
  std::map<std::string, std::string> bind;  // tensor of the op -> buffer or weight of the plan
};

struct LayerPlan {
  std::string kind;                         // "dense", "moe", "dense window=4096", "head"
  std::int64_t count = 0;                   // in the model
  StepShape shape;
  std::vector<BufferSpec> buffers;          // "input" and "output" are the layer's own
  std::vector<WeightSpec> weights;
  std::vector<PlannedOp> ops;

  double weight_bytes() const;              // all of it, every expert
  double cache_bytes() const;
  double activation_bytes() const;
  // Weights and cache that one pass touches, given the distinct experts: what has to come from memory.
  double touched_bytes(const WorkFacts&) const;
};

LayerPlan plan_layer(const ModelSpec&, const LayerKind&, const StepShape&);
// `sequences` rows go through the head.
LayerPlan plan_head(const ModelSpec&, std::int64_t sequences, const StepShape&);

// The kinds of layer of a model in order of first appearance, each with its count.
std::vector<std::pair<LayerKind, std::int64_t>> kinds_of(const ModelSpec&);
std::string to_string(const LayerKind&);

// cos and sin [positions, head_dim / 2] as the public implementation computes them: frequencies and angles in f32.
void fill_rope_table(const RopeSpec&, std::int64_t head_dim, const Tensor& cos, const Tensor& sin);

// A point of a run: which step, how routed.
enum class Phase { prefill, decode };
struct Scenario {
  Phase phase = Phase::decode;
  std::int64_t batch = 1;
  std::int64_t context = 1024;  // decode: keys cached before the step; prefill: prompt length
  DType weight_type = DType::bf16, activation_type = DType::bf16, kv_type = DType::bf16;
  RoutingSpec routing;
};
std::string to_string(Phase);
StepShape step_shape(const Scenario&, bool has_experts);

// What the whole model needs on one device at this point: bytes, and the largest batch that fits (absent: none).
struct MemoryNeed {
  double weight_bytes = 0, kv_bytes = 0, activation_bytes = 0;
  std::optional<std::int64_t> largest_batch;
};
MemoryNeed memory_need(const ModelSpec&, const Scenario&, double device_bytes);

// How many layers a stack has: the least R with (R - 1) * touched >= 2 * last-level cache, as far as memory and a limit
// of 512 layers allow.
struct StackSize {
  std::int64_t layers = 1;
  double reuse_distance_bytes = 0;
  bool cold = true;      // reuse distance reached
  double need_bytes = 0; // for `layers` layers
};
StackSize stack_size(const LayerPlan&, const WorkFacts&, double last_level_cache_bytes, double memory_bytes);

}  // namespace layercost
