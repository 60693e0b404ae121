// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/stack.h"

#include "kernels/core/random.h"

namespace layercost {

Stack::Stack(const LayerPlan& plan, const std::vector<WeightSet>& weights, std::int64_t layers, std::uint64_t seed,
             Runtime& runtime, const std::vector<const Variant*>& variants, std::int64_t chain)
    : runtime_(runtime), plan_(plan) {
  const std::string &in = plan.buffer(BufferRole::input).name, &out = plan.buffer(BufferRole::output).name;
  const BufferSet shared = shared_buffers(plan, runtime);
  const auto start = shared.at(in), a = shared.at(out);
  const auto b = std::make_shared<const OwnedTensor>(runtime.tensor(a->view().dtype, a->view().shape));
  fill_normal(runtime, start->view(), seed_for(seed, in));
  const BufferSpec* forced = plan.find_buffer(BufferRole::forced_ids);
  if (forced != nullptr) {
    id_count_ = elements_of(forced->shape);
    ids_ = runtime.tensor(DType::i32, {layers, id_count_});
  }
  for (std::int64_t l = 0; l < layers; ++l) {
    interrupt_check();
    BufferSet buffers = shared;
    buffers.merge(own_buffers(plan, seed, l, runtime));
    if (forced != nullptr) {
      const Tensor& own = buffers.at(forced->name)->view();
      auto* p = reinterpret_cast<std::byte*>(ids_.view().as<std::int32_t>() + l * id_count_);
      buffers[forced->name] =
          std::make_shared<const OwnedTensor>(Buffer(p, own.bytes(), nullptr), own.dtype, own.shape);
    }
    if (plan.adds_to_input) {
      buffers[in] = l % chain == 0 ? start : l % 2 == 1 ? a : b;
      buffers[out] = l % 2 == 0 ? a : b;
    }
    layers_.push_back(
        std::make_unique<Layer>(plan, weights[static_cast<std::size_t>(l)], std::move(buffers), runtime, variants));
  }
}

void Stack::set_ids(const Tensor& drawn, std::size_t pass) {
  const std::size_t bytes = ids_.view().bytes();
  runtime_.copy(ids_, Tensor{drawn.as<std::byte>() + pass * bytes, DType::i32, ids_.view().shape});
}

void Stack::capture(std::size_t passes, const OwnedTensor* drawn) {
  // Every kernel has run once before: one that is loaded while the queue is held would wait for the queue.
  for (auto& layer : layers_) layer->run();
  graph_ = runtime_.capture([this, passes, drawn] {
    for (std::size_t pass = 0; pass < passes; ++pass) {
      if (pass > 0 && drawn != nullptr) set_ids(drawn->view(), pass);
      for (auto& layer : layers_) layer->run();
    }
  });
}

}  // namespace layercost
