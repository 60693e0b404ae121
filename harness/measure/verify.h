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

#include <map>
#include <string>
#include <utility>
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
// What a gain is held against: its limit, or where rounding of few elements does not average out, more.
double gain_limit(const Tolerance&, std::int64_t elements);
// "" if within the limits, else one line that says which one, how much and where.
std::string judge(const OutputError&, std::int64_t elements);

struct CheckResult {
  bool ok = true;
  std::vector<std::string> problems;  // each one line: seed, tensor, what
  std::vector<OutputError> errors;    // the worst of each output over the seeds
};

// What the reference makes of one fill: outputs and updated tensors, floats in f64.
using ReferenceOutputs = std::map<std::string, OwnedTensor>;
// References already computed, by text of the case and seed. For a caller that checks several variants of a case: the
// reference of a product of 4096 x 8192 x 4096 takes seconds, its kernel half a millisecond.
using ReferenceCache = std::map<std::pair<std::string, int>, ReferenceOutputs>;

CheckResult check_variant(const OpDef&, const Variant&, const OpCase&, Runtime&, int seeds = 3,
                          ReferenceCache* = nullptr);
// The same for a variant that chooses among tile shapes (kernels/cuda/mma_shape.h) in each of them, whatever it would
// choose on this device.
CheckResult check_every_shape(const OpDef&, const Variant&, const OpCase&, Runtime&, int seeds = 3,
                              ReferenceCache* = nullptr);

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
  OpTensors with_outputs(ReferenceOutputs&) const;  // outputs and updated tensors replaced by f64 copies of now
  std::vector<std::string> problems() const;        // of guards and inputs since the last fill
  const std::vector<TensorSpec>& specs() const { return specs_; }

 private:
  struct Slot {
    Buffer memory;
    Buffer device;           // empty where the host's memory is the device's
    Tensor view;             // in `memory`
    std::uint64_t hash = 0;  // of an input's bytes at the last fill
  };
  Runtime& runtime_;
  std::size_t guard_bytes_;
  std::vector<TensorSpec> specs_;
  std::map<std::string, Slot> slots_;
  OpTensors host_, bound_;
};

// A tensor of these bytes holds NaN in every float type.
constexpr int kNaNByte = 0xff;

bool is_poison(const Tensor&, std::int64_t i);
void poison(const Tensor&);

}  // namespace layercost
