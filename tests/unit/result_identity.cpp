// SPDX-License-Identifier: Apache-2.0
#include "harness/result/identity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/result/result_io.h"
#include "tests/unit/result_fixture.h"

namespace layercost {
namespace {

using Json = nlohmann::json;

Json gpu_file() {
  ResultFile file = fixture::result_file();
  file.environment.gpu = fixture::gpu();
  file.points.clear();  // they say some of its machine again
  return Json::parse(result_to_text(file, nullptr));
}
EnvironmentRecord environment_of(const Json& json) { return result_from_text("r.json", json.dump()).environment; }

// Another value of the same type.
Json changed(const Json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<double>() == 2 ? Json(1) : Json(2);
  if (value.is_array() && value[0].is_number()) return Json::array({value[0].get<int>() + 1});
  if (value.is_array() && value[0].is_object()) return Json::array({value[0]});  // fewer
  if (value.is_array()) return Json::array({"other"});
  if (value.is_object()) return Json::object({{"other", "1"}});
  return "other";
}

// So that a new member of the environment has to be decided on.
TEST(Identity, EveryFactOfAMachineIsComparedOrListedWithItsReason) {
  const Json file = gpu_file();
  const EnvironmentRecord machine = environment_of(file);
  EXPECT_FALSE(machine_difference(machine, machine));
  int compared = 0, free = 0;
  const auto look = [&](const std::string& place, const Json& other) {
    const auto difference = machine_difference(machine, environment_of(other));
    const auto listed = std::find_if(may_differ().begin(), may_differ().end(),
                                     [&](const FreeFact& fact) { return fact.member == place; });
    if (listed != may_differ().end()) {
      EXPECT_FALSE(difference) << place;
      EXPECT_FALSE(listed->reason.empty());
      ++free;
    } else {
      ASSERT_TRUE(difference) << place << " differs and nobody says so";
      EXPECT_EQ(difference->member, place);
      EXPECT_NE(difference->first, difference->second);
      ++compared;
    }
  };
  for (const auto& [key, value] : file["environment"].items()) {
    if (key == "gpu" || key == "topology") continue;
    Json other = file;
    other["environment"][key] = changed(value);
    look("environment." + key, other);
  }
  for (const std::string part : {"gpu", "topology"})
    for (const auto& [key, value] : file["environment"][part].items()) {
      Json other = file;
      other["environment"][part][key] = changed(value);
      look("environment." + part + "." + key, other);
    }
  EXPECT_EQ(free, static_cast<int>(may_differ().size()));
  EXPECT_EQ(compared, 16 + 13 + 5);  // of record.h, counted by hand: CPU, GPU, topology
}

TEST(Identity, WhatIsNotSaidIsNotCompared) {
  const EnvironmentRecord machine = environment_of(gpu_file());
  EnvironmentRecord older = machine;
  older.governor.reset();
  older.threads_pinned.reset();
  older.huge_pages.clear();
  older.gpu.reset();
  EXPECT_FALSE(machine_difference(machine, older));
  EXPECT_FALSE(machine_difference(older, machine));
  older.gpu = GpuRecord{};
  older.gpu->multiprocessors = 132;
  EXPECT_FALSE(machine_difference(machine, older));
}

// 16e9 bytes: 16e6 is a thousandth.
TEST(Identity, MemoryMayDifferByAThousandth) {
  const EnvironmentRecord machine = environment_of(gpu_file());
  EnvironmentRecord other = machine;
  other.memory_bytes = 16e9 - 15e6;
  EXPECT_FALSE(machine_difference(machine, other));
  other.memory_bytes = 16e9 + 17e6;
  EXPECT_EQ(machine_difference(machine, other)->member, "environment.memory_bytes");
}

TEST(Identity, AModelsDigestIsTheLastResort) {
  ModelRecord a = fixture::result_file().models[1], b = a;
  EXPECT_FALSE(model_difference(a, b));
  b.digest = "00112233";
  EXPECT_FALSE(model_difference(a, b));  // a is of an older file
  a.digest = "44556677";
  EXPECT_EQ(model_difference(a, b)->member, "digest");
  b.hidden = 2048;
  b.experts = 8;
  const auto difference = model_difference(a, b);
  EXPECT_EQ(difference->member, "hidden");
  EXPECT_EQ(difference->first, "1024");
  EXPECT_EQ(difference->second, "2048");
}

TEST(Identity, ABuildIsItsVersionCommitAndWhetherItWasChanged) {
  const ResultFile a = fixture::result_file();
  ResultFile b = a;
  EXPECT_FALSE(build_difference(a, b));
  b.commit_dirty = true;
  EXPECT_EQ(build_difference(a, b)->member, "commit_dirty");
  b.commit = "fedc";
  EXPECT_EQ(build_difference(a, b)->member, "commit");
}

}  // namespace
}  // namespace layercost
