// What:    which variant of each op a stack uses: by measuring those that can do the case in place, on the stack's own
//          cold weights; and pins, which decide beforehand.
// Rule:    the lowest median m is looked for; the first candidate in the op's order whose median is within
//          m * (1 + band) is taken, band = the larger of 2 % and the half-width of m's 95 % notch, 1.58 IQR / sqrt(n)
//          (McGill, Tukey, Larsen 1978). So a near tie always ends the same way (TRUST T11).
// Rules:   the time for choosing is never inside a measurement; what was tried is recorded with its time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/plan/layer_plan.h"
#include "harness/result/record.h"
#include "kernels/contract/op.h"

namespace layercost {

// Times of each candidate, in the op's order; empty for one that was given up. At least one is not empty.
std::size_t choose_candidate(std::span<const std::vector<double>> times_s);

// The variants that choosing compares: those that support the case on the device, in the op's order, without the plain
// loops (they are there to be right) unless nothing else is left.
std::vector<const Variant*> candidates(const PlannedOp&, const DeviceInfo&);

// A decision made beforehand; empty or 0 stands for any. `op` names an op ("linear") or a component ("qkv").
struct VariantPin {
  std::string op = {}, variant = {};
  std::string model = {}, phase = {}, kind = {};
  std::int64_t batch = 0, context = 0;
};
// The choices of an earlier run, to be replayed.
std::vector<VariantPin> pins_of(const ResultFile&);
// The first pin that fits, or null. BadCase, with the reason, if the pinned variant cannot do the case.
const Variant* pinned_variant(std::span<const VariantPin>, const ModelSpec&, const Scenario&, const LayerPlan&,
                              const PlannedOp&, const DeviceInfo&);

}  // namespace layercost
