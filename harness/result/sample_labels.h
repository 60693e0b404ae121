// What:    the labels that follow from what a part stores, so that a run, a run that is resumed, files that were merged
//          and files that are read give the same ones, whatever labels were written beside the samples.
// Formula: preliminary     fewer than 10 rounds, or a round of fewer than 30 samples
//          roof_moved      a sample's probes before and after differ by more than a tenth of the larger one
//          drifting        |settle drift| above 1 % and above the width of the time's interval
//          cache_partial   reuse distance below 2 x last-level cache
//          overhead_bound  a section shorter than 500 us
//          shared          more than a tenth of a CPU, or another process on the GPU, in a round; taken away, too,
//                          where every round tells
//          queue_gap       the host's section longer than 1.05 x the device's + 20 us
//          power_capped    held back by power for more than 1 % of a round; where that is not told, the reason was seen
//          thermal         held back by temperature at all, or a slowdown that the board asked for
//          best_load_case  balanced routing
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/result/record.h"

namespace layercost {

inline constexpr double kSectionMin_s = 500e-6;  // T4

// Of every measured part: gives those that hold and takes away those of the first three that no longer do.
void label_from_samples(ResultFile& file);

}  // namespace layercost
