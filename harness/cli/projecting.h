// What:    projections for the commands that show them: `project`, and `plan --on`. From options to what is known of
//          the device, its price and what was measured on its kind; of a point to text and JSON (cost/projection.h).
// Errors:  BadInput for unknown hardware, the price of another device, results of another architecture, and devices
//          that the model's name says already.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "harness/cli/price_record.h"
#include "harness/cost/projection.h"
#include "harness/plan/counts.h"
#include "harness/spec/hardware_spec.h"

namespace layercost {

struct ProjectionOptions {
  std::string on;  // "" none
  std::int64_t devices = 1;
  PriceOptions price;
  std::vector<std::string> results;
};
void add_projection_options(CLI::App&, ProjectionOptions&);

// What does not depend on the point.
struct ProjectionTarget {
  HardwareSpec hardware;
  std::int64_t as_one = 1;
  std::optional<PriceRecord> price;
  std::optional<Efficiencies> measured;
};
// Nothing without --on, and BadInput for options that are of one.
std::optional<ProjectionTarget> projection_target(const ProjectionOptions&, const std::filesystem::path& configs_dir);

struct PointProjection {
  Projection steps;
  std::string phase, activation_type;
  double device_memory_bytes = 0;  // as the vendor says
  double memory_bytes = 0;         // of the devices that are taken as one
  MemoryNeed need;
  std::optional<std::int64_t> largest_context;  // at this batch; absent: not even one token fits
  std::int64_t batch = 1;
  bool fits() const { return need.total_bytes() <= memory_bytes; }
  // It does not, but vendors write GB where devices have GiB, and with those it would.
  bool fits_in_gib() const;
};
PointProjection project_point(const ProjectionTarget&, const ModelSpec&, const Scenario&);

// "efficiency: as measured on DEVICE, FILE (sha256 ...)", a line each.
std::string efficiency_text(const std::vector<EfficiencySource>&);
nlohmann::ordered_json efficiency_json(const std::vector<EfficiencySource>&);

// `with_ops`: also what every op is limited by.
std::string projection_text(const ProjectionTarget&, const PointProjection&, bool with_ops);
nlohmann::ordered_json projection_json(const ProjectionTarget&, const PointProjection&);

}  // namespace layercost
