// What:    what has to be the same for two runs to be one: machine, build, model, price. Everything that joins
//          result files (merge, --resume, --pin-from) asks here.
// Rules:   a machine is the facts that move numbers; "Intel(R) Xeon(R) Processor" is the name of a hundred machines.
//          Every member of EnvironmentRecord is compared, or stands with its reason in may_differ(). What one of the
//          two files does not say (older files say less) is not compared. memory_bytes may differ by a thousandth: a
//          kernel keeps some more or fewer pages at each boot.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/result/record.h"

namespace layercost {

struct Difference {
  std::string member;  // "environment.kernel"
  std::string first, second;
};

struct FreeFact {
  std::string_view member, reason;
};
std::span<const FreeFact> may_differ();  // of environment

// 16 digits that are the same for all copies of one run, and for no other: of when, on what and how it was started.
std::string run_id(const ResultFile&);

// The first member that differs, or nullopt.
std::optional<Difference> machine_difference(const EnvironmentRecord&, const EnvironmentRecord&);
// Of what two runs were asked to do: all that differs.
std::vector<Difference> policy_differences(const PolicyRecord&, const PolicyRecord&);
std::optional<Difference> price_difference(const PriceRecord&, const PriceRecord&);
std::optional<Difference> build_difference(const ResultFile&, const ResultFile&);
// Of two scenarios: all members that differ.
std::vector<Difference> scenario_differences(const ScenarioRecord&, const ScenarioRecord&);
// The digest is asked last: it tells that something differs, and not what.
std::optional<Difference> model_difference(const ModelRecord&, const ModelRecord&);

}  // namespace layercost
