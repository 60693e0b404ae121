// What:    the contract between an op (what is computed) and its variants (how).
//
//          An OpDef says keys, formula, shapes, work, tolerance and a slow reference in double. A Variant says which
//          keys and types it knows (knows), whether it can do a case on a device beyond that (supports: no side
//          effects, works without the device, refuses with a reason) and makes an Invocation bound to tensors (prepare:
//          allocates, packs weights, chooses; never timed). Invocation::run is what is timed.
// Rule:    nothing unknown passes. A case with a key, value or type that the op does not know is a BadCase wherever it
//          enters (tensors, work, support, prepare); what the variant does not know is refused by support, and prepare
//          refuses what support does.
// Rules for run():
//          allocates nothing, can be replayed any number of times, leaves inputs unchanged, writes every element of
//          every output and nothing else (of an `updated` tensor: only what the formula changes). On a CPU it returns
//          when the work is done; on a GPU it enqueues. It uses as many threads as the runtime has.
// Memory:  the caller owns tensors, and keeps them alive while the Invocation lives. Weights are read in prepare only;
//          what run() needs of them the Invocation holds, through Weight::packed.
// Units:   flops counts a multiply-add as 2; bytes.
// Errors:  BadCase from any function that is given an impossible case.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/contract/keys.h"
#include "kernels/contract/weight.h"
#include "kernels/core/op_case.h"
#include "kernels/core/tensor.h"
#include "kernels/runtime/runtime.h"

namespace layercost {

enum class Role {
  input,    // read only
  weight,   // read only, constant over all calls: bound as a Weight
  output,   // every element is written
  updated,  // a cache: run() changes the part that the formula names and leaves the rest
};

struct TensorSpec {
  std::string name;
  Role role = Role::input;
  DType dtype = DType::f32;
  Shape shape;
  // How the conformance tests fill an input, an updated tensor or a weight: normal values with this mean and sigma ...
  float sigma = 1.0f;
  float mean = 0.0f;
  // ... or something special (positions, expert ids, offsets), from a seed.
  std::function<void(const Tensor&, std::uint64_t seed)> fill = nullptr;
  const WeightFormat* format = nullptr;  // of a weight that may be in any; dtype is the type of its values
  std::shared_ptr<const Weight> make_weight(Weight::Fill f) const {
    return std::make_shared<const Weight>(format != nullptr ? *format : weight_format(dtype), shape, std::move(f));
  }
};

// What a check on a few rows of a large case wants of a reference: `rows` of the outputs, and of all other rows the
// columns from `from_column` on. A reference may leave the rest of an output as it is.
struct AskedRows {
  static constexpr std::int64_t kNone = INT64_MAX;
  std::vector<std::int64_t> rows;
  std::int64_t from_column = kNone;
};

// Tensors and weights by the names of TensorSpec.
class OpTensors {
 public:
  void bind(const std::string& name, const Tensor& t) { tensors_[name] = t; }
  void bind(const std::string& name, std::shared_ptr<const Weight> w) { weights_[name] = std::move(w); }
  bool has(const std::string& name) const { return tensors_.contains(name) || weights_.contains(name); }
  const Tensor& tensor(const std::string& name) const;                         // BadCase if absent
  const std::shared_ptr<const Weight>& weight(const std::string& name) const;  // BadCase if absent

  // For a reference; null: everything is asked for.
  const AskedRows* asked() const { return asked_ ? &*asked_ : nullptr; }
  void ask(AskedRows a) { asked_ = std::move(a); }

 private:
  std::optional<AskedRows> asked_;
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::shared_ptr<const Weight>> weights_;
};

// What a matrix product multiplies: activations of a type with weights of a format. Of two plain types, f32 if one of
// them is: that is what they are multiplied in. A device has a rate for each (harness/measure/roofs.h).
struct Arithmetic {
  DType x = DType::f32;
  const WeightFormat* w = nullptr;
  std::string name() const;  // "bf16", of a format with scales "bf16 x q8_0"
};
Arithmetic arithmetic_of(DType x, const WeightFormat& w);
struct Products {
  Arithmetic arithmetic;
  double flops = 0;
};

// Compulsory work: what no implementation can avoid.
struct Work {
  double flops = 0;
  // Among them; the rest are norms, activations and biases, and next to nothing.
  std::vector<Products> products = {};
  double weight_bytes = 0;   // each weight element that is needed, once
  double kv_read_bytes = 0;  // cache entries that are visible, once
  double kv_write_bytes = 0;
  double activation_bytes = 0;  // inputs and outputs of this op; inside a layer they may stay in cache, so the layer's
                                // bound counts only its own input and output
};

// What is known of a run beyond the sizes.
struct WorkFacts {
  std::optional<double> distinct_experts;  // realised, or expected; absent: min(experts, tokens * top_k)
};

// Limits on y - y* against the double reference y*:
//   rel_l2     ||y - y*|| / ||y*|| over the whole output
//   worst_row  the same over each row (last axis), largest; a row's denominator is at least the root mean square
//              row norm / 16, so that a row that happens to be near zero is not judged by its own
//              smallness
//   gain       |<y - y*, y*>| / <y*, y*>: a common factor, which rounding noise averages out of
struct Tolerance {
  double rel_l2 = 0;
  double worst_row = 0;
  double gain = 0;
};
// The usual limits: f32 storage and f32 accumulation over `terms` terms, or bf16 storage (unit roundoff 2^-9).
Tolerance usual_tolerance(DType storage, std::int64_t terms);

struct Support {
  bool ok = true;
  std::string why;  // set when not ok
  static Support yes() { return {}; }
  static Support no(std::string reason) { return {false, std::move(reason)}; }
  explicit operator bool() const { return ok; }
};

class Invocation {
 public:
  virtual ~Invocation() = default;
  virtual void run() = 0;
  // What prepare chose (library version, algorithm, layout), for the record. "" if there was no choice.
  virtual std::string chosen() const { return {}; }
};

struct Variant {
  const char* name;  // "plain_loops": identifier, file name and printed name are the same word
  Target target;
  const char* provider;  // "layercost", "oneDNN", ...
  // The keys and values it knows, of those that a case need not have or that have a list of values:
  // "x_type=bf16 w_type=bf16 y_type=f32|bf16 bias residual". What an op learns later is refused until it stands here.
  // "w_type=*": whatever the op knows.
  // Sizes and values that mean the same as an absent key need not be named.
  const char* knows = "";
  // Beyond that: whether it can do the case on the device. Null: it can. Asked through support() only.
  Support (*supports)(const OpCase&, const DeviceInfo&) = nullptr;
  // Whether it should, where it can and another could too: crossovers in speed, never limits. Null: it should. Only
  // what chooses by itself asks (default_variant, candidates); `ops`, `check --op` and pins use anything that can.
  bool (*prefers)(const OpCase&, const DeviceInfo&) = nullptr;
  // There to be right rather than fast: the last resort of its kind of device. Choosing leaves it out, and what stands
  // behind it, where anything else can do the case.
  bool plain = false;
  // Asked through prepare() only.
  std::unique_ptr<Invocation> (*make)(const OpCase&, const OpTensors&, Runtime&) = nullptr;

  // BadCase where support() says no.
  std::unique_ptr<Invocation> prepare(const OpCase&, const OpTensors&, Runtime&) const;
};

struct OpDef {
  const char* name = "";
  const char* summary = "";
  std::span<const KnownKey> keys = {};
  // Asked through tensors() and work() only.
  std::vector<TensorSpec> (*tensors_of)(const OpCase&) = nullptr;
  Work (*work_of)(const OpCase&, const WorkFacts&) = nullptr;
  // Tolerance of each output, by the tensor's name.
  Tolerance (*tolerance)(const OpCase&, const std::string& output) = nullptr;
  // Computes in double. Outputs may be bound as f64 tensors; inputs have their own types. Slow, but threaded where that
  // is one line.
  void (*reference)(const OpCase&, const OpTensors&) = nullptr;
  std::vector<OpCase> (*test_cases)() = nullptr;
  // Fastest first; the first that can and should do a case is the default.
  std::span<const Variant* const> (*variants)() = nullptr;
  // Of an op whose rows form sequences (batch of q_len rows each) that meet in a cache: of input rows for which no
  // output is asked, the columns from here on are needed all the same. Null: every row stands for itself.
  std::int64_t (*first_shared_column)(const OpCase&, const std::string& input) = nullptr;

  std::vector<TensorSpec> tensors(const OpCase& c) const {
    check_keys(*this, c);
    return tensors_of(c);
  }
  Work work(const OpCase& c, const WorkFacts& facts) const {
    check_keys(*this, c);
    return work_of(c, facts);
  }
};

// Whether the variant can do the case on the device, and if not, why. BadCase for a case that is none of the op.
Support support(const OpDef&, const Variant&, const OpCase&, const DeviceInfo&);

// Support, and prefers where the variant has it.
bool is_preferred(const OpDef&, const Variant&, const OpCase&, const DeviceInfo&);

// The first variant of `op` that supports the case on the device and prefers it; where none prefers it, the first that
// supports it. BadCase with every refusal if there is none.
const Variant& default_variant(const OpDef&, const OpCase&, const DeviceInfo&);

// An Invocation from a function object; most variants need no class of their own.
template <class F>
std::unique_ptr<Invocation> invocation(F f, std::string chosen = {}) {
  struct Call final : Invocation {
    Call(F f, std::string c) : f_(std::move(f)), chosen_(std::move(c)) {}
    void run() override { f_(); }
    std::string chosen() const override { return chosen_; }
    F f_;
    std::string chosen_;
  };
  return std::make_unique<Call>(std::move(f), std::move(chosen));
}

}  // namespace layercost
