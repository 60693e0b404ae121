// What:    decides whether a variant computed the right thing. Used before anything is timed.
// Order:   for each of several seeds on one Invocation (so that a kernel that keeps earlier results is seen):
//          fill inputs; poison outputs; run; guard words around every tensor intact; inputs unchanged; no poison and no
//          NaN left; integer outputs equal; float outputs within the op's Tolerance. All seeds use the same weights.
// Formula: rel_l2 = ||y - y*|| / ||y*||; worst_row = max_r ||y_r - y*_r|| / max(||y*_r||, rms row norm / 16);
//          gain = |<y - y*, y*>| / <y*, y*>, y* from the double reference. The gain limit is widened to 5 rel_l2_limit
//          / sqrt(n) for outputs of few elements n, where rounding does not average out.
// Poison:  a quiet NaN with a payload of its own (f32 0x7fd3c0de, bf16 0x7fd3, i32 0x7fd3c0de): never a computed value.
//          Guard words: 64 KiB of a pattern that depends on the address offset, before and behind each tensor.
// Does not prove: anything about sizes not tried, or about timing.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "kernels/contract/op.h"

namespace layercost {

struct OutputError {
  std::string tensor;
  double rel_l2 = 0, worst_row = 0, gain = 0;
  std::int64_t worst_row_index = -1;
  Tolerance limit;
};

// Errors of y against the double reference (same shape, rows = last axis).
OutputError measure_error(const std::string& name, const Tensor& y, const Tensor& reference, const Tolerance& limit);
// "" if within the limits, else one line that says which one, how much and where.
std::string judge(const OutputError&, std::int64_t elements);

struct CheckResult {
  bool ok = true;
  std::vector<std::string> problems;  // each one line: seed, tensor, what
  std::vector<OutputError> errors;    // the worst of each output over the seeds
};

CheckResult check_variant(const OpDef&, const Variant&, const OpCase&, Runtime&, int seeds = 3);

// Tensors of one case in guarded memory, with inputs that can be refilled from a seed. Also the data of `layercost
// ops`. On a device with memory of its own every tensor has two places: fill() ends with a copy to the device, fetch()
// copies back what the device made of it.
class GuardedCase {
 public:
  GuardedCase(const OpDef&, const OpCase&, std::uint64_t weight_seed, Runtime&);
  const OpTensors& tensors() const { return bound_; }  // on the device
  void fill(std::uint64_t seed);                       // inputs and updated tensors from the seed; outputs poisoned
  void fetch();
  const Tensor& result(const std::string& name) const { return slots_.at(name).view; }  // after fetch(), on the host
  OpTensors with_reference_outputs();         // outputs and updated tensors replaced by f64 copies; inputs shared
  std::vector<std::string> problems() const;  // of guards and inputs since the last fill
  const std::vector<TensorSpec>& specs() const { return specs_; }
  const Tensor& reference(const std::string& name) const;

 private:
  struct Slot {
    Buffer memory;
    Buffer device;  // empty where the host's memory is the device's
    Tensor view;    // in `memory`
    std::uint64_t hash = 0;  // of an input's bytes at the last fill
  };
  Runtime& runtime_;
  std::size_t guard_bytes_;
  std::vector<TensorSpec> specs_;
  std::map<std::string, Slot> slots_;
  std::map<std::string, OwnedTensor> reference_;
  OpTensors host_, bound_;
};

// A tensor of these bytes holds NaN in every float type.
constexpr int kNaNByte = 0xff;

bool is_poison(const Tensor&, std::int64_t i);
void poison(const Tensor&);

}  // namespace layercost
