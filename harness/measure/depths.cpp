// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/depths.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/measure/routing_feed.h"
#include "harness/result/stats.h"
#include "kernels/core/error.h"
#include "kernels/core/random.h"

namespace layercost {

DepthRecord measure_depths(RunContext& run, const RunPoint& point, const ScenarioRecord& scenario) {
  const ModelSpec& model = run.plan.models[point.model];
  const std::uint64_t plan_seed = run.plan.policy.seed;
  LayerPlan plan = plan_part(model, 0, point.scenario);
  plan.stored_weights = run.plan.stored != nullptr;
  DepthRecord d{scenario, plan.kind, {}, {}};
  const std::uint64_t seed = seed_for(plan_seed, model.name + "/depth");
  const std::int64_t most = *std::max_element(run.plan.depths.begin(), run.plan.depths.end());
  std::vector<WeightSet> weights;
  try {
    weights = part_weights(run.plan, plan, 0, most, seed, 0);
  } catch (const BadInput& e) {  // a checkpoint's layer that is not as the first one
    run.result.warnings.push_back({"depth_unreadable", fmt::format("{}: {}", model.name, e.what())});
    return d;
  }
  for (const std::int64_t depth : run.plan.depths) {
    const double need = static_cast<double>(depth) * plan.held_bytes() + plan.activation_bytes();
    if (need > run.memory_bytes) {
      run.result.warnings.push_back(
          {"depth_out_of_memory", fmt::format("{} at depth {} needs {:.1f} GB, {:.1f} GB are at hand", model.name,
                                              depth, need / 1e9, run.memory_bytes / 1e9)});
      continue;
    }
    run.tell(fmt::format("depth {} of {} {} b={}", depth, model.name, to_string(point.scenario.phase),
                         point.scenario.batch));
    Stack stack(plan, weights, depth, seed, run.runtime, {}, chain_of(run.plan, 0));
    std::optional<RoutingFeed> feed;
    if (plan.experts())
      feed.emplace(point.scenario.routing, seed_for(plan_seed, "routing"), stack, run.runtime, run.draws);
    std::vector<double> times;
    if (feed) feed->draw(1);
    stack.capture();  // runs every layer
    for (int i = 0; i < 8; ++i) {
      interrupt_check();
      if (feed) feed->draw(1);
      // Short stacks would find their weights in the cache.
      run.runtime.evict_caches();
      const double pass_s = run.runtime.time([&] { stack.run(); }).device_s;
      if (i > 0) times.push_back(pass_s);
    }
    Verdict verdict;
    check_sampled(stack.last(), 2, seed, verdict);
    if (!verdict.ok) {
      run.result.warnings.push_back({"depth_wrong", fmt::format("{} at depth {}: {}", model.name, depth, verdict.why)});
      continue;
    }
    d.depths.push_back(depth);
    d.time_s.push_back(median(times));
  }
  return d;
}

}  // namespace layercost
