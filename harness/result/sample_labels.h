// What:    the labels that follow from a part's samples alone, so that a run, a run that is resumed and files that were
//          merged give the same ones. All other labels say what was seen while measuring and are kept.
// Formula: preliminary  fewer than 10 rounds, or a round of fewer than 30 samples
//          roof_moved   a sample's probes before and after differ by more than a tenth of the larger one
//          drifting     |settle drift| above 1 %
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/result/record.h"

namespace layercost {

// Of every measured part: gives those of the three that hold and takes away those that no longer do.
void label_from_samples(ResultFile& file);

}  // namespace layercost
