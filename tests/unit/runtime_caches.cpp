// Machines of several last-level caches, described to hwloc and as planted trees of sysfs: sums worked out by hand.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/runtime/caches.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <numeric>

#include "kernels/runtime/runtime.h"
#include "kernels/runtime/topology.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int>;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

Ids from(int first, int n) {
  Ids ids(static_cast<std::size_t>(n));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

void expect_caches(const std::optional<LastLevelCaches>& seen, std::int64_t count, std::uint64_t mib,
                   const std::string& source, const char* what) {
  ASSERT_TRUE(seen) << what;
  EXPECT_EQ(seen->count, count) << what;
  EXPECT_EQ(seen->bytes, mib * kMiB) << what;
  EXPECT_EQ(seen->source, source) << what;
}

// Two sockets of four chiplets of eight cores of two CPUs: CPUs 0 to 15 have the first cache, 16 to 31 the second.
TEST(CachesByHwloc, EveryChipletAndSocketCounts) {
  if (!built_with_hwloc()) GTEST_SKIP() << "built without hwloc";
  const char* chiplets = "pack:2 l3:4(size=33554432) l2:8(size=1048576) l1d:1(size=32768) core:1 pu:2";
  expect_caches(caches_from_hwloc(from(0, 128), chiplets), 8, 256, "hwloc L3", "all");
  expect_caches(caches_from_hwloc(from(0, 16), chiplets), 1, 32, "hwloc L3", "one chiplet");
  expect_caches(caches_from_hwloc({0}, chiplets), 1, 32, "hwloc L3", "one CPU has its whole cache");
  expect_caches(caches_from_hwloc({15, 16, 127}, chiplets), 3, 96, "hwloc L3", "one CPU of each of three");
  expect_caches(caches_from_hwloc(from(64, 64), chiplets), 4, 128, "hwloc L3", "the second socket");
  expect_caches(caches_from_hwloc({0, 5000}, chiplets), 1, 32, "hwloc L3", "a CPU that is not there");
  EXPECT_FALSE(caches_from_hwloc({5000}, chiplets));
  EXPECT_FALSE(caches_from_hwloc({}, chiplets));
}

TEST(CachesByHwloc, OtherLevels) {
  if (!built_with_hwloc()) GTEST_SKIP() << "built without hwloc";
  expect_caches(caches_from_hwloc(from(0, 8), "pack:1 l2:2(size=2097152) core:4 pu:1"), 2, 4, "hwloc L2", "clusters");
  expect_caches(caches_from_hwloc(from(0, 8), "pack:1 l4:1(size=134217728) l3:2(size=6291456) core:4 pu:1"), 1, 128,
                "hwloc L4", "a cache behind the third");
  EXPECT_FALSE(caches_from_hwloc(from(0, 4), "pack:1 core:4 pu:1"));
  EXPECT_FALSE(caches_from_hwloc(from(0, 4), "no words of hwloc"));
}

class CachesBySysfs : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "layercost-caches-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  void plant(int cpu, int index, const std::string& level, const std::string& type, const std::string& size,
             const std::string& sharing) const {
    const fs::path folder =
        root_ + "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/cache/index" + std::to_string(index);
    fs::create_directories(folder);
    const auto file = [&](const char* name, const std::string& text) {
      if (!text.empty()) std::ofstream(folder / name) << text << "\n";
    };
    file("level", level);
    file("type", type);
    file("size", size);
    file("shared_cpu_list", sharing);
  }
  std::optional<LastLevelCaches> caches(const Ids& allowed) const { return caches_from_sysfs(allowed, root_); }

  std::string root_;
};

// A desktop of two chiplets, one of them with the tall cache: four cores each, siblings eight apart.
TEST_F(CachesBySysfs, EveryChipletCounts) {
  for (int cpu = 0; cpu < 16; ++cpu) {
    const bool tall = cpu % 8 < 4;
    const std::string core = std::to_string(cpu % 8);
    const std::string siblings = core + "," + std::to_string(cpu % 8 + 8);
    plant(cpu, 0, "1", "Data", "32K", siblings);
    plant(cpu, 1, "1", "Instruction", "32K", siblings);
    plant(cpu, 2, "2", "Unified", "1024K", siblings);
    plant(cpu, 3, "3", "Unified", tall ? "98304K" : "32M", tall ? "0-3,8-11" : "4-7,12-15");
  }
  expect_caches(caches(from(0, 16)), 2, 96 + 32, "sysfs L3", "all");
  expect_caches(caches({0, 1, 8}), 1, 96, "sysfs L3", "three CPUs of the first");
  expect_caches(caches({5}), 1, 32, "sysfs L3", "one of the second");
  expect_caches(caches({3, 15, 99}), 2, 128, "sysfs L3", "one of each, and one that is not there");
}

// Two slow cores have nothing behind their second level: 24 MiB of the fast ones, 2 MiB of theirs.
TEST_F(CachesBySysfs, CoresWithoutAThirdLevel) {
  for (int cpu = 0; cpu < 6; ++cpu) {
    plant(cpu, 0, "2", "Unified", "2048K", cpu < 4 ? std::to_string(cpu) : "4-5");
    if (cpu < 4) plant(cpu, 1, "3", "Unified", "24576K", "0-3");
  }
  expect_caches(caches(from(0, 6)), 2, 26, "sysfs L3", "both kinds");
  expect_caches(caches({4, 5}), 1, 2, "sysfs L2", "the slow ones");
}

TEST_F(CachesBySysfs, WhatIsNotUnderstoodIsNotThere) {
  EXPECT_FALSE(caches({0, 1}));
  plant(0, 0, "1", "Data", "32K", "0");
  for (const char* size : {"", "K", "-1K", "0K", "32X", "32KB", "99999999999999999999K", "1048577M", " 32K"}) {
    plant(0, 1, "3", "Unified", size, "0-1");
    EXPECT_EQ(caches({0})->bytes, 32u << 10) << size;
    fs::remove_all(root_ + "/sys/devices/system/cpu/cpu0/cache/index1");
  }
  plant(0, 1, "x", "Unified", "8M", "0-1");
  EXPECT_EQ(caches({0})->bytes, 32u << 10);
  plant(0, 1, "2", "Instruction", "8M", "0-1");
  EXPECT_EQ(caches({0})->bytes, 32u << 10);
  // Whoever does not say which CPUs share it, or says nonsense, is taken to have one for all, the largest named.
  for (int cpu = 0; cpu < 4; ++cpu) plant(cpu, 1, "3", "Unified", cpu == 2 ? "16M" : "8M", cpu < 2 ? "" : "7");
  expect_caches(caches({1, 2, 3}), 1, 16, "sysfs L3", "no list, and a list without the CPU");
}

// Two ways to the same machine.
TEST(Caches, HwlocAndSysfsAgreeHere) {
  const auto by_hwloc = caches_from_hwloc(allowed_cpus()), by_sysfs = caches_from_sysfs(allowed_cpus());
  const DeviceInfo d = describe_cpu();
  if (!by_hwloc || !by_sysfs) GTEST_SKIP() << "only one of them tells: " << d.last_level_cache_source;
  EXPECT_EQ(by_hwloc->count, by_sysfs->count);
  EXPECT_EQ(by_hwloc->bytes, by_sysfs->bytes);
  EXPECT_EQ(d.last_level_cache_bytes, by_hwloc->bytes);
  EXPECT_EQ(last_level_caches()->count, by_hwloc->count);
}

}  // namespace
}  // namespace layercost
