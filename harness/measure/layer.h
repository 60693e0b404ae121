// What:    a planned layer made real: weights (synthetic or from a checkpoint), buffers, and one Invocation per op.
//          Layers of one stack share the activations and have weights and caches of their own.
// Rules:   buffers are in the device's memory; read() is how the host sees one. run() is the lean pass: the ops in
//          order, nothing else. run_timed() reads the clock around every op and is only used to explain.
// Errors:  BadInput for a checkpoint that lacks a tensor; OutOfMemory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/plan/model.h"
#include "harness/spec/checkpoint.h"

namespace layercost {

using WeightSet = std::map<std::string, std::shared_ptr<const Weight>>;  // by WeightSpec::name

// Values from (seed, layer, weight name): every layer has its own. layer: its number in the stack, and in the model for
// values that follow from that.
WeightSet synthetic_weights(const LayerPlan&, std::uint64_t seed, std::int64_t layer);
// A checkpoint's tensors, each by the name that `name` gives to a source: codes as they are where the plan's format has
// codes, else values, rounded to the plan's type and kept beside what is packed from them. layer: its number in the
// model, for values that follow from it.
WeightSet checkpoint_weights(const LayerPlan&, Checkpoint&,
                             const std::function<std::string(const std::string& source)>& name, std::int64_t layer);

// Asked while weights are filled; throws Interrupted to stop (Ctrl-C). Set by the program.
void set_interrupt_check(std::function<void()>);
void interrupt_check();

// Buffers by name. Those that several layers share are made once and bound into each layer's set.
using BufferSet = std::map<std::string, std::shared_ptr<const OwnedTensor>>;
// 0, 1, 2, ...: what BufferRole::row_numbers is filled with.
void fill_row_numbers(const Tensor&);
// Everything that is not a layer's own; tables, and what comes from outside, are filled.
BufferSet shared_buffers(const LayerPlan&, Runtime&);
// A layer's own: caches and states filled with normal values from the seed (their contents stand for an earlier
// context), forced_ids.
BufferSet own_buffers(const LayerPlan&, std::uint64_t seed, std::int64_t layer, Runtime&);
// Normal values in a tensor of the device, the same bytes on every device.
void fill_normal(Runtime&, const Tensor&, std::uint64_t seed);

class Layer {
 public:
  // `buffers` must name every buffer of the plan. `variants`: of each op, null or missing for the op's first that fits.
  Layer(const LayerPlan& plan, WeightSet weights, BufferSet buffers, Runtime& runtime,
        const std::vector<const Variant*>& variants = {});

  void run() {
    for (auto& call : calls_) call->run();
  }
  void run_timed(std::vector<double>& seconds);  // adds one entry per op

  const LayerPlan& plan() const { return plan_; }
  const Tensor& buffer(const std::string& name) const { return buffers_.at(name)->view(); }
  const Tensor& buffer(BufferRole role) const { return buffer(plan_.buffer(role).name); }
  OwnedTensor read(const std::string& name) const { return runtime_.read(buffer(name)); }
  OwnedTensor read(BufferRole role) const { return runtime_.read(buffer(role)); }
  const WeightSet& weights() const { return weights_; }
  const Variant& variant(std::size_t op) const { return *variants_[op]; }
  std::string chosen(std::size_t op) const { return calls_[op]->chosen(); }
  // The same op by another variant, and its exchange.
  std::unique_ptr<Invocation> prepare(std::size_t op, const Variant&) const;
  void use(std::size_t op, const Variant& v, std::unique_ptr<Invocation> call) {
    variants_[op] = &v;
    calls_[op] = std::move(call);
  }
  Invocation& call(std::size_t op) { return *calls_[op]; }

 private:
  Runtime& runtime_;
  LayerPlan plan_;
  WeightSet weights_;
  BufferSet buffers_;
  std::vector<OpTensors> tensors_;
  std::vector<const Variant*> variants_;
  std::vector<std::unique_ptr<Invocation>> calls_;
};

}  // namespace layercost
