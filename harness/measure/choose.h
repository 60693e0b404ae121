// What:    which variant of each op a stack uses: by measuring those that can do the case in place, on the stack's own
//          cold weights; and pins, which decide beforehand.
// Rule:    the lowest median m is looked for; the first candidate in the op's order whose median is within
//          m * (1 + band) is taken, band = the larger of 2 % and the half-width of m's 95 % notch, 1.58 IQR / sqrt(n)
//          (McGill, Tukey, Larsen 1978). So a near tie always ends the same way (TRUST T11).
//          On a GPU each reading is the device's own, between two events around one op of one layer of the stack.
// Rules:   the time for choosing is never inside a measurement; what was tried is recorded with its time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/measure/layer.h"
#include "harness/plan/model.h"
#include "harness/result/record.h"
#include "kernels/contract/op.h"

namespace layercost {

// Times of each candidate, in the op's order; empty for one that was given up. At least one is not empty.
std::size_t choose_candidate(std::span<const std::vector<double>> times_s);

// The variants that choosing compares: those that support the case on the device and prefer it, in the op's order, up
// to the plain one (which is there to be right) and without it unless nothing stands before it. What stands behind it
// is never a default.
std::vector<const Variant*> candidates(const OpDef&, const OpCase&, const DeviceInfo&);
std::vector<const Variant*> candidates(const PlannedOp&, const DeviceInfo&);

struct Choice {
  std::vector<std::vector<TriedVariant>> tried;  // of each op; empty where the order decides
  std::vector<std::string> given_up;             // candidates that a GPU could not run, and why
};
// Measures the candidates of every op that `fixed` leaves open (null), each op beside the others' present choice, layer
// by layer over a stack of equal layers, and makes all layers use the best. Nothing is tried that would need more than
// `spare_bytes` for weights packed once more. Once all are prepared (which includes a library's own choice among its
// algorithms), it ends before a further layer would take it over `budget_s` of the clock on the wall; an op whose first
// candidate was not read three times by then, or beside no other, stays as the order says.
Choice choose_variants(std::span<const std::unique_ptr<Layer>> layers, std::span<const Variant* const> fixed,
                       double spare_bytes, double budget_s, Runtime&);

// A decision made beforehand; `op` names an op ("linear") or a component ("qkv"). Without `at` it is for every point,
// with it for that one and its part `kind`.
struct VariantPin {
  std::string op = {}, variant = {};
  std::optional<ScenarioRecord> at = {};
  std::string kind = {};
};
// The choices of an earlier run, to be replayed.
std::vector<VariantPin> pins_of(const ResultFile&);
// The first pin that fits, or null. BadCase, with the reason, if the pinned variant cannot do the case.
const Variant* pinned_variant(std::span<const VariantPin>, const ScenarioRecord&, const LayerPlan&, const PlannedOp&,
                              const DeviceInfo&);

}  // namespace layercost
