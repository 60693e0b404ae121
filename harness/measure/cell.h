// What:    measures one cell of a run: one kind of layer (or the head) of one point in one round.
// Order:   stack -> choose variants (first round) -> check -> how many passes make a sample -> samples -> check the
//          last timed pass -> instrumented passes -> record. No time is kept of what failed a check.
// Errors:  Interrupted, DeviceLost, OutOfMemory and what variants throw; the caller turns them into outcomes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/measure/gpu_monitor.h"
#include "harness/measure/roofs.h"
#include "harness/measure/run.h"
#include "harness/measure/stack.h"

namespace layercost {

// What all cells of a run share.
struct RunContext {
  const RunPlan& plan;
  Runtime& runtime;
  ResultFile& result;
  RoofProbe& roofs;
  GpuMonitor* gpu;             // null on a CPU
  double memory_bytes;         // for stacks
  std::uint64_t& draws;        // of routing, so far
  std::int64_t& probes_again;  // because a sample contradicted them
  std::function<void(const std::string&)> tell;
};

struct Cell {
  const ModelSpec& model;
  const ScenarioRecord& point;
  const Scenario& scenario;
  const LayerPlan& plan;
  std::int64_t round;
  const StackSize& size;
  const std::vector<WeightSet>& weights;
  std::uint64_t seed;
  std::int64_t chain;     // of the stack
  bool check_all_layers;  // else the first one: packed weights are shared by the points of a part
};

void measure_cell(RunContext&, const Cell&, PartRecord&);

// Verifies a layer that has just run on `rows` of its rows, plus what covering its experts takes.
void check_sampled(Layer&, std::int64_t rows, std::uint64_t seed, Verdict&);

}  // namespace layercost
