// What:    takes up a run that was stopped: holds its file against what is planned now, part by part, and gives the
//          file back in the plan's order, ready for measure_all.
// Same:    build, machine, models, points and policy. Parts are matched by their kind, and each of them has to be there
//          once, with the count and the ops of the plan, variants that can do them, and its rounds numbered from 0.
//          rounds may rise. A price that is not given stays as it is in the file; another one is refused.
// Retries: what failed. What is wrong, unsupported or out of memory stays.
// Pins:    of an earlier result decide which variants a run uses; its samples stay where they are, so that another
//          machine or build is told, and another model is refused.
// Errors:  BadInput names file, member and both values.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "harness/measure/run.h"
#include "harness/result/record.h"

namespace layercost {

// The choices of an earlier run, replayed at the same points of the same models; a file that has none of them is
// refused. What differs in machine and build is a warning in `result`, whose environment and build are those of now.
void take_pins(RunPlan&, const DeviceInfo&, const ResultFile& earlier, const std::string& file, ResultFile& result);

// planned: made by plan_result, with environment and price of now. file: the name of `old`, for messages.
ResultFile resume(const RunPlan&, const DeviceInfo&, const ResultFile& planned, ResultFile old,
                  const std::string& file);

}  // namespace layercost
