// SPDX-License-Identifier: Apache-2.0
#include "kernels/contract/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/contract/registry.h"
#include "kernels/core/error.h"

namespace layercost {

const Tensor& OpTensors::tensor(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) throw BadCase("tensor '" + name + "' is not bound");
  return it->second;
}

const std::shared_ptr<const Weight>& OpTensors::weight(const std::string& name) const {
  const auto it = weights_.find(name);
  if (it == weights_.end()) throw BadCase("weight '" + name + "' is not bound");
  return it->second;
}

std::string Arithmetic::name() const {
  return w->is_plain() ? std::string(w->name) : fmt::format("{} x {}", to_string(x), w->name);
}

Arithmetic arithmetic_of(DType x, const WeightFormat& w) {
  if (!w.is_plain()) return {x, &w};
  const DType both = x == w.values ? x : DType::f32;
  return {both, &weight_format(both)};
}

Tolerance usual_tolerance(DType storage, std::int64_t terms) {
  // f32: rounding errors of a sum of n terms in blocked order grow like sqrt(n) * 2^-24 (6e-8); 8 times that is far
  // from what a correct kernel does and far below any mistake. bf16: 2^-9 = 2.0e-3 is the largest relative error of one
  // rounding, 1.1e-3 its root mean square; two roundings (output, and a product held in bf16) stay below 4e-3.
  const double f32 = 8 * 6e-8 * std::sqrt(static_cast<double>(std::max<std::int64_t>(terms, 16)));
  switch (storage) {
    case DType::bf16:
      return {4e-3 + f32, 8e-3 + f32, 5e-4};
    case DType::f32:
      return {f32, 4 * f32, std::min(f32, 5e-4)};
    case DType::fp8_e4m3:
      // References round as the format does. What lies within f32's error of the middle of a step may go either way,
      // an eighth of the value: few do.
      return {2e-2 + f32, 6e-2 + f32, 5e-3};
    case DType::f64:
    case DType::i32:
      break;
  }
  throw BadCase("no limits are known for outputs of " + std::string(to_string(storage)));
}

Support support(const OpDef& op, const Variant& v, const OpCase& c, const DeviceInfo& device) {
  check_keys(op, c);
  if (v.target != device.target)
    return Support::no(fmt::format("runs on {}, this device is {}", to_string(v.target), to_string(device.target)));
  if (const std::string unknown = what_is_unknown(op, v, c); !unknown.empty()) return Support::no(unknown);
  return v.supports == nullptr ? Support::yes() : v.supports(c, device);
}

std::unique_ptr<Invocation> Variant::prepare(const OpCase& c, const OpTensors& tensors, Runtime& runtime) const {
  if (const Support s = support(find_op(c.op()), *this, c, runtime.device()); !s)
    throw BadCase(fmt::format("'{}': {} cannot do it: {}", c.text(), name, s.why));
  return make(c, tensors, runtime);
}

bool is_preferred(const OpDef& op, const Variant& v, const OpCase& c, const DeviceInfo& device) {
  return support(op, v, c, device) && (v.prefers == nullptr || v.prefers(c, device));
}

const Variant& default_variant(const OpDef& op, const OpCase& c, const DeviceInfo& device) {
  std::string refusals;
  const Variant* can = nullptr;
  for (const Variant* v : op.variants()) {
    if (v->target != device.target) continue;
    const Support s = support(op, *v, c, device);
    if (s && (v->prefers == nullptr || v->prefers(c, device))) return *v;
    if (s && can == nullptr) can = v;
    refusals += fmt::format("\n  {}: {}", v->name, s.why);
  }
  if (can != nullptr) return *can;
  throw BadCase(fmt::format("no variant of {} does '{}' on {}:{}", op.name, c.text(), device.name, refusals));
}

}  // namespace layercost
