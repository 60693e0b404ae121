// What:    in which quantities the two sides of a pair are alike, so that it is said which comparison a pair is: of
//          equal parameters held (iso-total), multiplied for a token (iso-active), of equal work (iso-FLOP) or traffic
//          (iso-byte). A pair may be several of them, or none.
// Formula: dense / mixture of experts. FLOPs and compulsory bytes are those of a whole step, experts by the mean of
//          what the samples touched, and of both sides at one batch and context.
// Units:   ratios. Missing is absent.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "harness/result/record.h"

namespace layercost {

struct Likeness {
  std::optional<double> total, active;  // parameters
  std::optional<double> flops, bytes;   // of a step
};

Likeness likeness(const ModelRecord& dense, const ModelRecord& moe, const PointRecord& dense_point,
                  const PointRecord& moe_point);

// "iso-total", "iso-active", "iso-FLOP", "iso-byte": what lies between 1 / kAlike and kAlike.
inline constexpr double kAlike = 1.1;
std::vector<std::string_view> alike_in(const Likeness&);

}  // namespace layercost
