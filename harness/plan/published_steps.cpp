// SPDX-License-Identifier: Apache-2.0
#include "harness/plan/published_steps.h"

#include <fmt/format.h>

#include "kernels/core/error.h"

namespace layercost {

PublishedSteps published_steps(const PublishedResult& r, const std::filesystem::path& configs_dir) {
  PublishedSteps out{.model = find_model(r.model, configs_dir), .steps = {}};
  Scenario s;
  s.batch = r.batch;
  try {
    s.weights = r.weights_format.empty() ? weights_by_config(out.model, DType::bf16)
                                         : WeightTypes::of(weight_format(r.weights_format), DType::bf16);
  } catch (const BadCase& e) {
    throw BadInput(fmt::format("{}: weights_format: {}", r.id, e.what()));
  }
  const auto add = [&](Phase phase, std::int64_t context, double times) {
    s.phase = phase;
    s.context = context;
    out.steps.push_back({s, times});
  };
  if (r.measures == "decode") {
    add(Phase::decode, r.prompt, 1);
  } else {
    add(Phase::prefill, r.prompt, 1);
    out.tokens_of_sequence = static_cast<double>(r.prompt);
  }
  if (r.measures == "request") {
    if (r.output > 1) add(Phase::decode, r.prompt + (r.output - 2) / 2, static_cast<double>(r.output - 1));
    out.tokens_of_sequence = static_cast<double>(r.output + (r.counts_prompt ? r.prompt : 0));
  }
  return out;
}

}  // namespace layercost
