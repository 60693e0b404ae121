// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/roofs.h"

#include <algorithm>
#include <cmath>

#include "harness/measure/choose.h"
#include "harness/measure/layer.h"
#include "harness/result/roofline.h"
#include "kernels/contract/registry.h"
#include "kernels/core/random.h"
#include "kernels/core/team.h"
#include "kernels/runtime/read_probe.h"
#include "kernels/runtime/read_probe_cuda_launch.h"

namespace layercost {
namespace {
std::size_t probe_buffer_bytes(const DeviceInfo& d) {
  // Never more than a quarter of what is free; on machines so small the cache is small too. A GPU reads so fast that
  // less than 2 GiB is over before all its multiprocessors are at work.
  const std::uint64_t least = d.target == Target::cuda ? std::uint64_t{2} << 30 : 0;
  const std::uint64_t wanted = std::min(std::max(4 * d.last_level_cache_bytes, least), d.available_bytes / 4);
  return std::max<std::size_t>(wanted >> 20 << 20, std::size_t{16} << 20);
}
// Two to a multiprocessor: 1024 threads with 128 bytes each on their way.
int blocks(const DeviceInfo& d) { return 2 * d.cuda.multiprocessors; }
}  // namespace

Roofs believable_roofs(std::span<const OpRecord> ops, const Sample& s, Roofs probe,
                       const std::function<Roofs()>& again) {
  constexpr int kTries = 3;
  for (int i = 0; i < kTries && contradicts(ops, probe, s.distinct_experts.value_or(0), s.time_s); ++i) probe = again();
  return probe;
}

RoofProbe::RoofProbe(DType type, Runtime& runtime, std::int64_t gpu_side)
    : runtime_(runtime),
      m_(runtime.on_host() ? 256 : gpu_side),
      n_(runtime.on_host() ? 25600 : gpu_side),
      k_(runtime.on_host() ? 5120 : gpu_side),
      buffer_(runtime.buffer(probe_buffer_bytes(runtime.device()))),
      x_(runtime.tensor(type, {m_, k_})),
      y_(runtime.tensor(type, {m_, n_})),
      sums_(runtime.tensor(DType::i32, {std::max(1, blocks(runtime.device()))})) {
  window_ = buffer_.bytes();
  if (runtime.on_host()) window_ = std::min<std::size_t>(window_, std::size_t{512} << 20);
  fill_normal(runtime, Tensor{buffer_.data(), DType::bf16, {static_cast<std::int64_t>(buffer_.bytes() / 2)}}, 1);
  fill_normal(runtime, x_, 2);
  weight_ = std::make_shared<const Weight>(type, Shape{n_, k_}, [type](std::int64_t first, std::int64_t n, void* out) {
    fill_normal(3, first, n, 0.0f, 0.01f, type, out);
  });
  OpCase c("linear");
  c.set("m", m_).set("n", n_).set("k", k_).set("x_type", type).set("w_type", type).set("y_type", type);
  OpTensors tensors;
  tensors.bind("x", x_.view());
  tensors.bind("w", weight_);
  tensors.bind("y", y_.view());
  double best = 0;
  std::string best_name;
  for (const Variant* v : candidates(find_op("linear"), c, runtime.device())) {
    interrupt_check();
    product_ = v->prepare(c, tensors, runtime);
    double rate = 0;
    if (!runtime.on_host()) product_->run();  // loads the kernel: not while the queue is held
    for (int i = 0; i < 3; ++i) {
      rate = std::max(rate, measure_compute());
      if (compute_s_ > 2) break;
    }
    if (rate > best) {
      best = rate;
      best_name = v->name;
    }
  }
  variant_ = best_name;
  product_ = find_variant(find_op("linear"), variant_).prepare(c, tensors, runtime);
  measure_compute();
}

RoofProbe::~RoofProbe() = default;

double RoofProbe::measure_read() {
  if (!runtime_.on_host()) {
    const ReadProbeCuda p{buffer_.data(), static_cast<std::int64_t>(window_), sums_.view().as<std::uint32_t>(),
                          blocks(runtime_.device())};
    const auto read = [&] { runtime_.check(launch_read_probe_cuda(p, runtime_.stream()), "read probe"); };
    read();  // loads the kernel
    double best_s = INFINITY;
    for (int i = 0; i < 5; ++i) best_s = std::min(best_s, runtime_.time(read).device_s);
    return static_cast<double>(window_) / best_s;
  }
  if (at_ + window_ > buffer_.bytes()) at_ = 0;
  const double t = now_s();
  volatile std::uint64_t sink = read_once(buffer_.data() + at_, window_);
  (void)sink;
  const double rate = static_cast<double>(window_) / (now_s() - t);
  at_ += window_;
  return rate;
}

double RoofProbe::measure_compute() {
  compute_s_ = runtime_.time([&] { product_->run(); }).device_s;
  if (runtime_.on_host()) openmp_rests_now();  // if it was a library: the sample that follows need not be one's
  due_ = false;
  return flops() / compute_s_;
}

void RoofProbe::start_round() { due_ = true; }

Roofs RoofProbe::measure_anew() {
  due_ = true;
  return measure();
}

Roofs RoofProbe::measure() {
  if (!runtime_.on_host() && !due_ && last_.read_bytes_per_s > 0) return last_;
  if (due_ || compute_s_ <= kSlowProbe_s) measure_compute();
  last_.flops_per_s = flops() / compute_s_;
  last_.read_bytes_per_s = measure_read();
  return last_;
}

}  // namespace layercost
