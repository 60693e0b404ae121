// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/roofs.h"

#include <algorithm>

#include "harness/measure/layer.h"
#include "kernels/contract/registry.h"
#include "kernels/core/random.h"
#include "kernels/runtime/read_probe.h"

namespace layercost {
namespace {
constexpr std::int64_t kM = 256, kK = 5120, kN = 25600;
constexpr double kFlops = 2.0 * kM * kK * kN;

std::size_t probe_buffer_bytes(const DeviceInfo& d) {
  // Never more than a quarter of what is free; on machines so small the cache is small too.
  const std::uint64_t wanted = std::min(4 * d.last_level_cache_bytes, d.available_bytes / 4);
  return std::max<std::size_t>(wanted >> 20 << 20, std::size_t{16} << 20);
}
}  // namespace

RoofProbe::RoofProbe(DType type, Runtime& runtime)
    : buffer_(probe_buffer_bytes(runtime.device())), x_(type, {kM, kK}), y_(type, {kM, kN}) {
  window_ = std::min<std::size_t>(buffer_.bytes(), std::size_t{512} << 20);
  fill_normal(Tensor{buffer_.data(), DType::bf16, {static_cast<std::int64_t>(buffer_.bytes() / 2)}}, 1);
  fill_normal(x_, 2);
  weight_ = std::make_shared<const Weight>(type, Shape{kN, kK}, [type](std::int64_t first, std::int64_t n, void* out) {
    fill_normal(3, first, n, 0.0f, 0.01f, type, out);
  });
  OpCase c("linear");
  c.set("m", kM).set("n", kN).set("k", kK).set("x_type", type).set("w_type", type).set("y_type", type);
  OpTensors tensors;
  tensors.bind("x", x_.view());
  tensors.bind("w", weight_);
  tensors.bind("y", y_.view());
  double best = 0;
  std::string best_name;
  for (const Variant* v : find_op("linear").variants()) {
    if (v->target != runtime.device().target || !v->supports(c, runtime.device())) continue;
    interrupt_check();
    product_ = v->prepare(c, tensors, runtime);
    // The list is ordered by speed: once one is fast, a plain one behind it is not worth a minute.
    if (best > 0 && std::string_view(v->name).starts_with("plain")) break;
    double rate = 0;
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
  if (at_ + window_ > buffer_.bytes()) at_ = 0;
  const double t = now_s();
  volatile std::uint64_t sink = read_once(buffer_.data() + at_, window_);
  (void)sink;
  const double rate = static_cast<double>(window_) / (now_s() - t);
  at_ += window_;
  return rate;
}

double RoofProbe::measure_compute() {
  const double t = now_s();
  product_->run();
  compute_s_ = now_s() - t;
  due_ = false;
  return kFlops / compute_s_;
}

void RoofProbe::start_round() { due_ = true; }

Roofs RoofProbe::measure() {
  Roofs r;
  if (due_ || compute_s_ <= kSlowProbe_s) measure_compute();
  r.flops_per_s = kFlops / compute_s_;
  r.read_bytes_per_s = measure_read();
  return r;
}

}  // namespace layercost
