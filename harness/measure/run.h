// What:    measures. Walks rounds x models x kinds of layer x points, builds the stacks, checks them, samples them, and
//          fills in a ResultFile whose points were all planned beforehand.
// Round:   stacks built anew with fresh weights (on recycled pages), rotated order of models and points; every case
//          once per round, so that cases are interleaved over the whole run (TRUST S1, S3; a fresh process per round
//          comes later).
// Sample:  as many passes over the stack as take at least 500 us; roofs probed before and after; time of one layer =
//          section / (passes x layers). The timed section holds the passes and nothing else (with several passes in
//          one section: and the copy of the next pass's expert ids, at most tokens x top_k x 4 bytes a layer). On a
//          GPU a section of passes is one graph, the queue is held until it is in it, the time is the device's own and
//          the host's stands beside it; roofs are probed once a round, conditions are read during all samples of a
//          part.
// Choice:  before a point's first round every op's candidates are measured on the stack itself (choose.h): on a CPU
//          where memory allows, on a GPU within a tenth of the time that the part's samples get; what does not fit is
//          left to the op's order. Later rounds use what was chosen. Pins decide beforehand.
// Check:   before timing every layer of a part once, in the first round at its first point, then the first layer at
//          every point and round (points of a part share the packed weights); the last layer again on the output of
//          the last timed pass. A part that fails has no time.
// Heads:   of points with the same batch and types are one case, measured once a round.
// Cells:   each (round, part, point) gets Policy::cell_s of samples, at least min_samples.
// Errors:  what goes wrong in one part ends that part (wrong, out_of_memory, failed); the others go on. A device that
//          is lost ends the run, the rest is skipped. Interrupted ends the run; what was measured stays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/measure/choose.h"
#include "harness/measure/stored_model.h"
#include "harness/plan/model.h"
#include "harness/result/record.h"
#include "harness/result/sample_labels.h"
#include "kernels/runtime/runtime.h"

namespace layercost {

struct Policy {
  std::int64_t rounds = 3;
  double cell_s = 0.6;  // time for the samples of one part of one point in one round
  std::int64_t min_samples = 3;
  std::int64_t max_samples = 30;
  double section_min_s = kSectionMin_s;
  double memory_fraction = 0.85;  // of what is available, for stacks
  std::uint64_t seed = 20250919;
  std::int64_t gpu_probe_side = 8192;  // of the compute roof's product on a GPU
  double gpu_choice_share = 0.1;       // choosing among variants on a GPU: of rounds x cell_s
  std::int64_t rows_checked = 4;       // per layer, plus what covering the experts takes
};

struct RunPoint {
  std::size_t model = 0;  // index into RunPlan::models
  Scenario scenario;
};

struct RunPlan {
  std::vector<ModelSpec> models;
  std::vector<RunPoint> points;
  bool with_head = true;             // final norm and LM head; without them no model row is composed
  std::vector<std::int64_t> depths;  // --depth: stacks of these heights at every point's first kind of layer
  std::vector<VariantPin> pins;
  Policy policy;
  std::shared_ptr<StoredModel> stored = {};  // of the only model; null: weights are synthetic
};

// Weights of the first `layers` layers of a stack of part number `part` (plan_part), in this round. Those of a
// checkpoint begin one later each round.
std::vector<WeightSet> part_weights(const RunPlan&, const LayerPlan&, std::size_t part, std::int64_t layers,
                                    std::uint64_t seed, std::int64_t round);

struct RunEvents {
  // One line about what is being done, and how much of the run is behind us (0..1).
  std::function<void(const std::string& what, double done)> progress;
  // After every part that was measured or given up: the file so far is worth writing.
  std::function<void()> changed;
};

// Of stacks of a part: as many layers as a checkpoint has of it.
std::int64_t chain_of(const RunPlan&, std::size_t part);

// The plan of part number `index` of every point of the model: its kinds in their order, then the head.
LayerPlan plan_part(const ModelSpec&, std::size_t index, const Scenario&);
ModelRecord model_record(const ModelSpec&);
ScenarioRecord scenario_record(const ModelSpec&, const Scenario&, const DeviceInfo&);
// Points and parts of the result in the order of the plan, all `skipped`; memory filled in.
void plan_result(const RunPlan&, const DeviceInfo&, ResultFile&);
// Measures everything that is not yet measured in `result` (made by plan_result, or by resume() from a file), and says
// whether it is complete then.
// Throws Interrupted; everything else ends up in the result.
void measure_all(const RunPlan&, Runtime&, ResultFile&, const RunEvents&);

}  // namespace layercost
