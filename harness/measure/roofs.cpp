// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/roofs.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "harness/measure/choose.h"
#include "harness/measure/layer.h"
#include "harness/result/roofline.h"
#include "kernels/contract/registry.h"
#include "kernels/core/error.h"
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

std::set<std::string> arithmetics_of(std::span<const OpRecord> ops) {
  std::set<std::string> names;
  for (const OpRecord& op : ops)
    for (const auto& [name, flops] : op.product_flops) names.insert(name);
  return names;
}

// The fixed product of one arithmetic.
struct RoofProbe::Product {
  OwnedTensor x, y;
  double flops = 0;
  std::unique_ptr<Invocation> call;
  std::string variant;
  double time_s = 0;  // of the last probe
  bool due = true;
};

RoofProbe::RoofProbe(DType type, Runtime& runtime, std::int64_t gpu_side)
    : runtime_(runtime),
      rows_(runtime.on_host() ? 256 : gpu_side),
      columns_(runtime.on_host() ? 25600 : gpu_side),
      depth_(runtime.on_host() ? 5120 : gpu_side),
      buffer_(runtime.buffer(probe_buffer_bytes(runtime.device()))),
      sums_(runtime.tensor(DType::i32, {std::max(1, blocks(runtime.device()))})) {
  window_ = buffer_.bytes();
  if (runtime.on_host()) window_ = std::min<std::size_t>(window_, std::size_t{512} << 20);
  fill_normal(runtime, Tensor{buffer_.data(), DType::bf16, {static_cast<std::int64_t>(buffer_.bytes() / 2)}}, 1);
  own_ = product_of(arithmetic_of(type, weight_format(type)), columns_);
}

RoofProbe::~RoofProbe() = default;

void RoofProbe::add(const Arithmetic& a) {
  try {
    further_[a.name()] = product_of(a, runtime_.on_host() ? columns_ / 4 : columns_);
  } catch (const BadCase&) {  // no `linear` multiplies so: this roof stays unknown, and what needs it has no bound
  }
}

const std::string& RoofProbe::compute_variant() const { return own_->variant; }

std::unique_ptr<RoofProbe::Product> RoofProbe::product_of(const Arithmetic& a, std::int64_t columns) {
  OpCase c("linear");
  c.set("m", rows_).set("n", columns).set("k", depth_);
  c.set("x_type", a.x).set("w_type", a.w->name).set("y_type", a.x);
  const std::vector<const Variant*> able = candidates(find_op("linear"), c, runtime_.device());
  if (able.empty()) throw BadCase("no variant of linear can do '" + c.text() + "' here");
  // What is there to be right takes a hundred times as long as what is there to be fast.
  if (able.front()->plain) return fastest(a, c, std::max<std::int64_t>(1, columns / 16), able);
  if (!runtime_.on_host()) return fastest(a, c, columns, able);
  auto quarter = fastest(a, c, columns / 4, able);
  // The rate is the same (AVX2, 2 threads: 140 and 144 GFLOP/s, of all columns 139 and 141). What takes longer could
  // not run beside every sample, and took most of the seconds before the first number.
  return 4 * quarter->time_s > kSlowProbe_s ? std::move(quarter) : fastest(a, c, columns, able);
}

// Of the variants; it holds the tensors.
std::unique_ptr<RoofProbe::Product> RoofProbe::fastest(const Arithmetic& a, OpCase c, std::int64_t columns,
                                                       const std::vector<const Variant*>& able) {
  c.set("n", columns);
  auto p = std::make_unique<Product>();
  p->x = runtime_.tensor(a.x, {rows_, depth_});
  p->y = runtime_.tensor(a.x, {rows_, columns});
  p->flops = 2.0 * static_cast<double>(rows_) * static_cast<double>(columns) * static_cast<double>(depth_);
  fill_normal(runtime_, p->x, 2);
  OpTensors tensors;
  tensors.bind("x", p->x.view());
  tensors.bind("w", std::make_shared<const Weight>(*a.w, Shape{columns, depth_},
                                                   [t = a.w->values](std::int64_t first, std::int64_t n, void* out) {
                                                     fill_normal(3, first, n, 0.0f, 0.01f, t, out);
                                                   }));
  tensors.bind("y", p->y.view());
  double best = 0;
  for (const Variant* v : able) {
    interrupt_check();
    p->call = v->prepare(c, tensors, runtime_);
    double rate = 0;
    if (!runtime_.on_host()) p->call->run();  // loads the kernel: not while the queue is held
    for (int i = 0; i < 3; ++i) {
      rate = std::max(rate, measure_compute(*p));
      if (p->time_s > 2) break;
    }
    if (rate > best) {
      best = rate;
      p->variant = v->name;
    }
  }
  p->call = find_variant(find_op("linear"), p->variant).prepare(c, tensors, runtime_);
  measure_compute(*p);
  return p;
}

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

double RoofProbe::measure_compute(Product& p) {
  p.time_s = runtime_.time([&] { p.call->run(); }).device_s;
  if (runtime_.on_host()) openmp_rests_now();  // if it was a library: the sample that follows need not be one's
  p.due = false;
  return p.flops / p.time_s;
}

double RoofProbe::rate_of(Product& p) {
  if (p.due || (runtime_.on_host() && p.time_s <= kSlowProbe_s)) measure_compute(p);
  return p.flops / p.time_s;
}

void RoofProbe::start_round() {
  read_due_ = own_->due = true;
  for (auto& [name, product] : further_) product->due = true;
}

Roofs RoofProbe::measure_anew(const std::set<std::string>& further) {
  start_round();
  return measure(further);
}

Roofs RoofProbe::measure(const std::set<std::string>& further) {
  Roofs roofs;
  roofs.flops_per_s = rate_of(*own_);
  for (const std::string& name : further)
    if (const auto product = further_.find(name); product != further_.end())
      roofs.product_flops_per_s[name] = rate_of(*product->second);
  if (read_due_ || runtime_.on_host()) read_bytes_per_s_ = measure_read();
  read_due_ = false;
  roofs.read_bytes_per_s = read_bytes_per_s_;
  return roofs;
}

}  // namespace layercost
