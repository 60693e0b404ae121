// What:    how much of a device's nominal figures its operations reached, from results that were measured on it, for a
//          projection onto another device of the same architecture.
// Formula: time of an op  = that of the instrumented pass - an equal part for each op of what that pass takes longer
//                           than the lean one, so that the ops add up to the layer's time: between two ops stands a
//                           mark, and on a GPU each has cost the same 2 to 3 us, whatever the op. Where the lean pass
//                           is the slower one, or an op is shorter than that part: scaled to the layer's time instead
//          efficiency     = its possible_s at the vendor's figures of the device it was measured on / its time
//                           at most 1: what was faster than nominal came from a cache, and not every device has that
//          Of nominal, not of the roofs that were measured: it multiplies the other device's nominal figures, and what
//          a device loses between the two is part of it.
//          nearest        among ops of the same phase and key: one of the same component before all others (an `o` says
//                         nothing of a router whose FLOPs happen to be alike); then like rows, for they decide between
//                         memory, arithmetic and launch; then like size, by fold_between at these rows. Ops whose rows
//                         meet caches (attention, rope) count by size alone
//          least_s        what no size leads below, a launch and its latency: of an op's phase and key the least of
//                         time - possible_s, or the shortest op of the phase where that is more. Not the key's own
//                         shortest: in a result of one large model that is long for its size
// Key:     the op and what decides how it is computed: types of activations, weights and cache, and whether attention
//          reads a shared or an uncached cache. Sizes are not in it.
// Carried: an op that multiplies no matrices (norms, routing, activations) has no figure of the vendor's that binds it,
//          and no efficiency. Its time is what was measured, and what a larger one moves more, at the vendor's memory
//          rate or arithmetic (traffic_s: all inputs and outputs, too). It is never less than what was measured: on one
//          H100 norms and routing of 1, 8 and 64 rows take the same time, that of a launch.
// Left out: parts that are not measured, IMPOSSIBLE, or without a time for every op; ops that this program does not
//          know.
// Errors:  BadInput for a result of a device that configs/hardware does not know, or that is of another architecture,
//          and for one that holds nothing of the kind.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/result/record.h"
#include "harness/spec/hardware_spec.h"
#include "kernels/core/op_case.h"

namespace layercost {

struct EfficiencySource {
  std::string file;  // its name, without folders
  std::string content_hash;
  std::string device_name;
};

struct MeasuredOp {
  std::size_t source = 0;  // among Efficiencies::sources
  std::string where;       // "qwen3-4b decode batch 1 context 4096 bf16 on cuda:0, dense, qkv"
  std::string phase, key, component;
  double rows = 0;                   // 0: of sequences with a cache, where they say little
  double flops = 0, bytes = 0;
  double time_s = 0, possible_s = 0;
  std::optional<double> efficiency;  // absent: carried
  double traffic_s = 0;              // where it is
  std::vector<Label> labels;         // of the part
  OpRecord op;                       // with which another device's figures say what is possible there
  double distinct_experts = 0;
};

struct Efficiencies {
  std::vector<EfficiencySource> sources;
  std::vector<MeasuredOp> ops;
  // Null: no such op was measured. Of two that are as near, the first.
  const MeasuredOp* nearest(const std::string& phase, const std::string& key, const std::string& component, double rows,
                            double flops, double bytes) const;
  double least_s(const std::string& phase, const std::string& key) const;  // 0: nothing was measured in the phase
};

std::string efficiency_key(const OpCase& op_case);
double rows_of(const OpCase& op_case);  // as MeasuredOp::rows
// At the vendor's figures, with all inputs and outputs, though they may stay in a cache: beyond launches it is what ops
// without matrix products take.
double traffic_s(const OpCase& op_case, const Roofs& roofs);
// How many times larger or smaller the work was, in FLOPs or bytes, whichever is further: at least 1.
double fold_between(double flops_a, double bytes_a, double flops_b, double bytes_b);
// Up to here a committed result checks a projection: batch 64 from batch 8, layers within 10 % (tests/cli/project.py).
inline constexpr double kCheckedFold = 8;

// Of a device that configs/hardware knows.
bool same_architecture(const ResultFile& file, const HardwareSpec& target, const std::vector<HardwareSpec>& known);

// `names`: of the files, in the same order. A file that comes twice counts once.
Efficiencies measured_efficiencies(std::span<const ResultFile> files, std::span<const std::string> names,
                                   const HardwareSpec& target, const std::vector<HardwareSpec>& known);

}  // namespace layercost
