// What:    a step of a whole model on a device that is not here: what the vendor's figures allow, and, with results of
//          a device of the same architecture, what is to be expected. A projection, never a measurement.
// Formula: of each op, count times a step:
//            possible_s   = max(arithmetic at the vendor's rate for it, compulsory bytes / the vendor's memory rate)
//            projected_s  = of the nearest measured op's time here, its possible_s / efficiency: of a larger op as many
//                           times that, of a smaller one least_s and the same share of the rest; or the carried time.
//                           Never less than least_s (all of these: cost/efficiency.h)
//          possible_s     = sum over ops: one op after the other, experts as the routing is expected to touch them
//          hard_bound_s   = max over arithmetics and memory of the sum over ops, experts as few as any routing touches:
//                           ops of two halves of a batch may overlap, favourite experts are read once. NOTHING REAL IS
//                           FASTER in these types and in a plain step, which is one token for each sequence
//          projected_s    = sum over ops, absent unless every op has one: a sum that leaves ops out is none
//          tokens/s       = tokens of the step / its time
// Devices: n devices as one have n times the figures: weights and cache split evenly. Of a model that devices share
//          (StepWork::devices) each does the same step. Communication is left out of all times in both cases.
// Fields:  NOMINAL (possible, hard bound) and projected with measured efficiency are fields of their own.
// Units:   seconds, FLOP/s, bytes/s; USD.
// Errors:  times are absent where the vendor gives no rate for the activations' type (the memory's bound is a bound all
//          the same); the hard bound also where a rate
//          bounds nothing (NominalRate::is_bound).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/cost/efficiency.h"
#include "harness/cost/nominal_roofs.h"
#include "harness/result/step_work.h"

namespace layercost {

struct ProjectedOp {
  std::string component, op;
  std::string limited_by;      // "memory", or the vendor's rate: "bf16", "fp8"; "": no figure binds what multiplies no
                               // matrices and reads neither weights nor a cache
  double possible_s = 0;       // of one
  std::optional<double> projected_s;
  std::optional<double> efficiency;  // possible_s / projected_s; absent also where the time was carried
  std::string where;           // it was measured; "" nowhere
  std::size_t source = 0;
  double fold = 1;             // how many times larger or smaller the measured op was
  bool is_far() const { return fold > kCheckedFold * (1 + 1e-9); }
  std::vector<Label> labels;   // of what was measured
};
struct ProjectedPart {
  std::string kind;
  std::int64_t count = 0;
  std::vector<ProjectedOp> ops;
};

struct Projection {
  std::int64_t devices = 1;  // all of them
  double tokens = 0;         // of a step of all
  bool per_user = false;     // decode: a step is one token for each sequence
  double read_bytes_per_s = 0;     // of the devices that are taken as one
  std::vector<NominalRate> rates;  // likewise; empty: the vendor gives none
  std::vector<ProjectedPart> parts;
  double memory_bound_s = 0;       // NOMINAL: compulsory bytes alone, experts as few as any routing touches
  std::optional<double> possible_s, hard_bound_s;  // NOMINAL
  std::optional<double> projected_s;
  std::vector<std::string> missing;  // components that no result has measured; empty also without results

  double tokens_per_s(double step_s) const { return tokens / step_s; }
};
// as_one: devices that are taken as one; 1 where devices share the model. measured: null without results.
Projection project(const StepWork& work, const HardwareSpec& hardware, std::int64_t as_one,
                   const Efficiencies* measured);

// Of all devices for the time of a step; the price is of one of them for an hour.
std::optional<double> usd_per_mtok(const std::optional<PriceRecord>& price, const Projection& projection,
                                   std::optional<double> step_s);

}  // namespace layercost
