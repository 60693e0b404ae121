// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/verify.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <set>

#include "kernels/core/error.h"
#include "kernels/core/random.h"
#include "kernels/cuda/mma_shape.h"

namespace layercost {
namespace {

constexpr std::size_t kGuardBytes = std::size_t{64} << 10;
constexpr std::uint32_t kPoison32 = 0x7fd3c0deu;
constexpr std::uint16_t kPoison16 = 0x7fd3u;
constexpr std::uint8_t kPoison8 = 0x7fu;

std::byte guard_byte(std::size_t i) { return static_cast<std::byte>((i * 167 + 41) & 255); }

std::uint64_t hash_bytes(const Tensor& t) {
  const auto* p = static_cast<const unsigned char*>(t.data);
  std::uint64_t h = 0x5bd1e995;
  for (std::size_t i = 0, n = t.bytes(); i < n; ++i) h = (h ^ p[i]) * 0x100000001b3u;
  return h;
}

void default_fill(const TensorSpec& s, const Tensor& t, std::uint64_t seed) {
  if (s.fill) return s.fill(t, seed);
  if (t.dtype == DType::i32) throw BadCase("integer tensor '" + s.name + "' needs a fill of its own");
  fill_normal(t, seed, s.mean, s.sigma);
}

}  // namespace

void poison(const Tensor& t) {
  const std::int64_t n = t.elements();
  switch (t.dtype) {
    case DType::f32:
    case DType::i32:
      for (std::int64_t i = 0; i < n; ++i) std::memcpy(t.as<std::byte>() + 4 * i, &kPoison32, 4);
      break;
    case DType::bf16:
      for (std::int64_t i = 0; i < n; ++i) std::memcpy(t.as<std::byte>() + 2 * i, &kPoison16, 2);
      break;
    case DType::f64:
      for (std::int64_t i = 0; i < n; ++i) t.as<double>()[i] = std::nan("");
      break;
    case DType::fp8_e4m3:
      std::memset(t.data, kPoison8, static_cast<std::size_t>(n));
      break;
  }
}

bool is_poison(const Tensor& t, std::int64_t i) {
  switch (t.dtype) {
    case DType::f32:
    case DType::i32:
      return std::memcmp(t.as<std::byte>() + 4 * i, &kPoison32, 4) == 0;
    case DType::bf16:
      return std::memcmp(t.as<std::byte>() + 2 * i, &kPoison16, 2) == 0;
    case DType::f64:
      return std::isnan(t.as<double>()[i]);
    case DType::fp8_e4m3:
      return t.as<std::uint8_t>()[i] == kPoison8;
  }
  no_such_type(t.dtype);
}

OutputError measure_error(const std::string& name, const Tensor& y, const Tensor& ref, const Tolerance& limit) {
  OutputError e;
  e.tensor = name;
  e.limit = limit;
  const std::int64_t n = y.elements(), width = y.shape.empty() ? 1 : y.shape.back();
  if (n == 0) return e;
  const std::int64_t rows = n / width;
  double total_error = 0, total = 0, cross = 0;
  std::vector<double> row_error(static_cast<std::size_t>(rows)), row_norm(static_cast<std::size_t>(rows));
  for (std::int64_t r = 0; r < rows; ++r) {
    double err = 0, norm = 0;
    for (std::int64_t i = r * width; i < (r + 1) * width; ++i) {
      const double a = ref.load(i), d = y.load(i) - a;
      err += d * d;
      norm += a * a;
      cross += d * a;
    }
    row_error[static_cast<std::size_t>(r)] = err;
    row_norm[static_cast<std::size_t>(r)] = norm;
    total_error += err;
    total += norm;
  }
  const auto ratio = [](double a, double b) { return a == 0 ? 0.0 : b == 0 ? INFINITY : a / b; };
  e.rel_l2 = ratio(std::sqrt(total_error), std::sqrt(total));
  e.gain = ratio(std::abs(cross), total);
  const double floor = total / static_cast<double>(rows) / 256;  // (rms row norm / 16)^2
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto at = static_cast<std::size_t>(r);
    const double w = ratio(std::sqrt(row_error[at]), std::sqrt(std::max(row_norm[at], floor)));
    if (w > e.worst_row || std::isnan(w)) {
      e.worst_row = w;
      e.worst_row_index = r;
      if (std::isnan(w)) break;
    }
  }
  return e;
}

double gain_limit(const Tolerance& t, std::int64_t elements) {
  return std::max(t.gain, 5 * t.rel_l2 / std::sqrt(static_cast<double>(std::max<std::int64_t>(elements, 1))));
}

std::string judge(const OutputError& e, std::int64_t elements) {
  // Written as !(x <= limit): a NaN is refused too.
  if (!(e.worst_row <= e.limit.worst_row))
    return fmt::format("{}: row {} has relative error {:.3g}, over the limit {:.3g}", e.tensor, e.worst_row_index,
                       e.worst_row, e.limit.worst_row);
  if (!(e.rel_l2 <= e.limit.rel_l2))
    return fmt::format("{}: relative L2 error {:.3g} is over the limit {:.3g}", e.tensor, e.rel_l2, e.limit.rel_l2);
  if (const double limit = gain_limit(e.limit, elements); !(e.gain <= limit))
    return fmt::format("{}: a common factor of 1 +- {:.3g}, over the limit {:.3g}", e.tensor, e.gain, limit);
  return {};
}

GuardedCase::GuardedCase(const OpDef& op, const OpCase& c, std::uint64_t weight_seed, Runtime& runtime)
    : runtime_(runtime),
      guard_bytes_(runtime.backend() != nullptr && runtime.backend()->guards_allocations() ? 0 : kGuardBytes),
      specs_(op.tensors(c)) {
  for (const TensorSpec& s : specs_) {
    if (s.role == Role::weight) {
      auto raw = std::make_shared<OwnedTensor>(s.dtype, s.shape);
      default_fill(s, raw->view(), seed_for(weight_seed, s.name));
      const auto weight = s.make_weight([raw](std::int64_t first, std::int64_t n, void* out) {
        const std::size_t unit = size_of(raw->view().dtype);
        std::memcpy(out, raw->view().as<std::byte>() + static_cast<std::size_t>(first) * unit,
                    static_cast<std::size_t>(n) * unit);
      });
      bound_.bind(s.name, weight);
      host_.bind(s.name, weight);
      continue;
    }
    Slot slot;
    const std::size_t bytes = static_cast<std::size_t>(elements_of(s.shape)) * size_of(s.dtype);
    slot.memory = Buffer(bytes + 2 * guard_bytes_);
    slot.view = Tensor{slot.memory.data() + guard_bytes_, s.dtype, s.shape};
    for (std::size_t i = 0; i < guard_bytes_; ++i) {
      slot.memory.data()[i] = guard_byte(i);
      slot.memory.data()[guard_bytes_ + bytes + i] = guard_byte(i);
    }
    host_.bind(s.name, slot.view);
    Tensor bound = slot.view;
    if (!runtime_.on_host()) {
      slot.device = runtime_.buffer(bytes + 2 * guard_bytes_);
      bound.data = slot.device.data() + guard_bytes_;
    }
    bound_.bind(s.name, bound);
    slots_.emplace(s.name, std::move(slot));
  }
}

void GuardedCase::fill(std::uint64_t seed) {
  for (const TensorSpec& s : specs_) {
    if (s.role == Role::weight) continue;
    Slot& slot = slots_.at(s.name);
    if (s.role == Role::output) {
      poison(slot.view);
    } else {
      default_fill(s, slot.view, seed_for(seed, s.name));
      slot.hash = hash_bytes(slot.view);
    }
    if (!runtime_.on_host())
      runtime_.backend()->upload(slot.device.data(), slot.memory.data(), slot.view.bytes() + 2 * guard_bytes_);
  }
}

void GuardedCase::fetch() {
  if (runtime_.on_host()) return;
  for (auto& [name, slot] : slots_)
    runtime_.backend()->download(slot.memory.data(), slot.device.data(), slot.view.bytes() + 2 * guard_bytes_);
}

OpTensors GuardedCase::with_outputs(ReferenceOutputs& outputs) const {
  OpTensors out = host_;
  for (const TensorSpec& s : specs_) {
    if (s.role != Role::output && s.role != Role::updated) continue;
    OwnedTensor copy(s.dtype == DType::i32 ? DType::i32 : DType::f64, s.shape);
    const Tensor& from = slots_.at(s.name).view;
    if (s.role == Role::updated)
      for (std::int64_t i = 0, n = from.elements(); i < n; ++i) copy.view().store(i, from.load(i));
    out.bind(s.name, copy.view());
    outputs[s.name] = std::move(copy);
  }
  return out;
}

std::vector<std::string> GuardedCase::problems() const {
  std::vector<std::string> out;
  for (const TensorSpec& s : specs_) {
    if (s.role == Role::weight) continue;
    const Slot& slot = slots_.at(s.name);
    const std::size_t bytes = slot.view.bytes();
    for (std::size_t i = 0; i < guard_bytes_; ++i) {
      // Nearest to the tensor first: that is where overruns begin.
      if (slot.memory.data()[guard_bytes_ + bytes + i] != guard_byte(i)) {
        out.push_back(fmt::format("{}: wrote {} bytes past its end", s.name, i + 1));
        break;
      }
      const std::size_t before = guard_bytes_ - 1 - i;
      if (slot.memory.data()[before] != guard_byte(before)) {
        out.push_back(fmt::format("{}: wrote {} bytes before its start", s.name, i + 1));
        break;
      }
    }
    if (s.role == Role::input && hash_bytes(slot.view) != slot.hash) out.push_back(s.name + ": an input was changed");
  }
  return out;
}

namespace {

constexpr std::uint64_t kWeightSeed = 7001;

void check_call(const OpDef& op, const Variant& variant, const OpCase& c, GuardedCase& data, Invocation& call,
                int seeds, ReferenceCache* cache, CheckResult& result) {
  for (int seed = 1; seed <= seeds; ++seed) {
    const auto report = [&](const std::string& what) {
      result.ok = false;
      result.problems.push_back(fmt::format("{} [{}{}{}] seed {}: {}", c.text(), variant.name,
                                            call.chosen().empty() ? "" : ", ", call.chosen(), seed, what));
    };
    data.fill(static_cast<std::uint64_t>(seed));
    ReferenceOutputs own;
    ReferenceOutputs& reference = cache != nullptr ? (*cache)[{c.text(), seed}] : own;
    if (reference.empty()) op.reference(c, data.with_outputs(reference));  // before run() changes updated tensors
    call.run();
    data.fetch();
    for (const std::string& p : data.problems()) report(p);
    for (const TensorSpec& s : data.specs()) {
      if (s.role != Role::output && s.role != Role::updated) continue;
      const Tensor& y = data.result(s.name);
      const Tensor& expected = reference.at(s.name).view();
      const std::int64_t n = y.elements();
      std::int64_t bad = -1;
      for (std::int64_t i = 0; i < n && bad < 0; ++i)
        if (is_poison(y, i)) bad = i;
      if (bad >= 0) {
        report(fmt::format("{}: element {} of {} was never written", s.name, bad, n));
        continue;
      }
      if (s.dtype == DType::i32) {
        for (std::int64_t i = 0; i < n; ++i)
          if (y.load(i) != expected.load(i)) {
            report(fmt::format("{}: element {} is {}, expected {}", s.name, i, y.load(i), expected.load(i)));
            break;
          }
        continue;
      }
      for (std::int64_t i = 0; i < n && bad < 0; ++i)
        if (std::isnan(y.load(i)) && !std::isnan(expected.load(i))) bad = i;
      if (bad >= 0) {
        report(fmt::format("{}: element {} is NaN", s.name, bad));
        continue;
      }
      const OutputError e = measure_error(s.name, y, expected, op.tolerance(c, s.name));
      if (const std::string why = judge(e, n); !why.empty()) report(why);
      bool known = false;
      for (OutputError& old : result.errors)
        if (old.tensor == e.tensor) {
          known = true;
          if (e.rel_l2 > old.rel_l2) old = e;
        }
      if (!known) result.errors.push_back(e);
    }
  }
}

}  // namespace

CheckResult check_variant(const OpDef& op, const Variant& variant, const OpCase& c, Runtime& runtime, int seeds,
                          ReferenceCache* cache) {
  CheckResult result;
  GuardedCase data(op, c, kWeightSeed, runtime);
  check_call(op, variant, c, data, *variant.prepare(c, data.tensors(), runtime), seeds, cache, result);
  return result;
}

CheckResult check_every_shape(const OpDef& op, const Variant& variant, const OpCase& c, Runtime& runtime, int seeds,
                              ReferenceCache* cache) {
  struct Unforced {
    ~Unforced() { tile_shapes() = {}; }
  } unforced;
  tile_shapes() = {};
  CheckResult result;
  GuardedCase data(op, c, kWeightSeed, runtime);
  std::set<std::string> seen;
  for (int shape = -1; shape < tile_shapes().count; ++shape) {
    tile_shapes().forced = shape;
    if (!support(op, variant, c, runtime.device())) continue;  // not in this shape
    const std::unique_ptr<Invocation> call = variant.prepare(c, data.tensors(), runtime);
    if (seen.insert(call->chosen()).second) check_call(op, variant, c, data, *call, seeds, cache, result);
  }
  return result;
}

}  // namespace layercost
