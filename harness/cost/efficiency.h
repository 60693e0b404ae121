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
//          nearest        among ops of the same phase and key the one with the smallest |ln flops ratio| + |ln bytes
//                         ratio|: the same op at another size reaches another share, and a launch takes the same time
// Key:     the op and what decides how it is computed: types of activations, weights and cache, and whether attention
//          reads a shared or an uncached cache. Sizes are not in it.
// Carried: an op that multiplies no matrices (norms, routing, activations) has no figure of the vendor's that binds it:
//          its time is carried over, by FLOPs, and it has no efficiency.
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
  double flops = 0, bytes = 0;
  double time_s = 0;
  std::optional<double> efficiency;  // absent: carried
  std::vector<Label> labels;         // of the part
};

struct Efficiencies {
  std::vector<EfficiencySource> sources;
  std::vector<MeasuredOp> ops;
  // Null: no such op was measured. Of two that are as near, the one of this component.
  const MeasuredOp* nearest(const std::string& phase, const std::string& key, const std::string& component,
                            double flops, double bytes) const;
};

std::string efficiency_key(const OpCase& op_case);
// How many times larger or smaller the work was: at least 1.
double fold_between(double flops_a, double bytes_a, double flops_b, double bytes_b);

// Of a device that configs/hardware knows.
bool same_architecture(const ResultFile& file, const HardwareSpec& target, const std::vector<HardwareSpec>& known);

// `names`: of the files, in the same order.
Efficiencies measured_efficiencies(std::span<const ResultFile> files, std::span<const std::string> names,
                                   const HardwareSpec& target, const std::vector<HardwareSpec>& known);

}  // namespace layercost
