// What:    from the words of the command line, or a suite, to models and points. Shared by run and plan.
// Rules:   without --phase: decode for every batch, and prefill at batch 1. -c is the number of keys already cached for
//          decode, the prompt length for prefill.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

#include "harness/measure/run.h"

namespace layercost {

struct PointOptions {
  std::vector<std::string> models;
  std::vector<std::string> weights;
  std::optional<std::string> prefix;
  std::int64_t ep = 1, tp = 1;
  bool mtp = false;
  std::string twins;  // --twin
  std::string suite, phase, batches, contexts, dtype, kv_type, weights_format, routing, architecture;
};

struct Points {
  std::vector<ModelSpec> models;
  std::vector<RunPoint> points;
  std::vector<PairRecord> pairs;
  std::string suite;
  std::shared_ptr<StoredModel> stored;  // of --weights
};

void add_point_options(CLI::App&, PointOptions&);
void add_checkpoint_options(CLI::App&, PointOptions&);
// The format with the name of --weights-format.
const WeightFormat& weight_format_option(const std::string& name);
std::vector<const WeightFormat*> weight_format_options(const std::string& names);  // separated by commas
Points make_points(const PointOptions&, const std::filesystem::path& configs);

}  // namespace layercost
