// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/gpu_monitor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "tests/unit/fake_nvml.h"

namespace layercost {
namespace {

// Board b is the second of the library and would be the first of CUDA.
constexpr const char* kUuid = "GPU-bbbbbbbb-0000-0000-0000-000000000000";

ConditionsRecord watch(const char* fault, const char* uuid = kUuid) {
  setenv("LAYERCOST_FAKE_NVML", fault, 1);
  GpuMonitor monitor(uuid, LAYERCOST_FAKE_NVML_FILE);
  EXPECT_EQ(monitor.why_not(), "");
  monitor.start();
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  const auto c = monitor.stop();
  unsetenv("LAYERCOST_FAKE_NVML");
  EXPECT_TRUE(c.has_value());
  return c.value_or(ConditionsRecord{});
}

TEST(GpuMonitor, ReadsTheBoardWithThisUuid) {
  const ConditionsRecord c = watch("");
  EXPECT_DOUBLE_EQ(c.sm_clock_min_hz.value(), 1.2e9);
  EXPECT_DOUBLE_EQ(c.sm_clock_max_hz.value(), 1.4e9);
  EXPECT_GE(c.sm_clock_median_hz.value(), 1.2e9);
  EXPECT_EQ(c.other_processes.value(), 2) << "of three one is this program";
  EXPECT_TRUE(c.clock_reasons_known);
  EXPECT_EQ(c.clock_reasons, std::vector<std::string>{"power cap"});
  EXPECT_GE(c.readings, 3);
  EXPECT_GE(c.window_s, 0.12);
}

// Every quantity with the unit that NVML's documentation gives it. The raw number is NVML's, the value beside it is
// worked out by hand: 650000 mW are 650 W; 50 000 000 ns of 1 000 000 us are 0.05 of a second in one second.
TEST(GpuMonitor, EveryQuantityInItsUnit) {
  namespace raw = fake_nvml;
  const ConditionsRecord c = watch("");
  const GpuRecord g = GpuMonitor(kUuid, LAYERCOST_FAKE_NVML_FILE).facts();
  struct Row {
    const char *function, *unit;
    unsigned long long raw;
    double si;
    std::optional<double> read;
  };
  const Row rows[] = {
      {"nvmlDeviceGetClockInfo, SM", "MHz", raw::kSmClock_mhz, 1.2e9, c.sm_clock_min_hz},
      {"nvmlDeviceGetClockInfo, memory", "MHz", raw::kMemoryClock_mhz, 2.619e9, c.memory_clock_median_hz},
      {"nvmlDeviceGetMaxClockInfo, SM", "MHz", raw::kMaxSmClock_mhz, 1.98e9, g.sm_clock_limit_hz},
      {"nvmlDeviceGetPowerUsage", "mW", raw::kPower_mw, 650, c.power_median_w},
      {"nvmlDeviceGetEnforcedPowerLimit", "mW", raw::kPowerLimit_mw, 700, c.power_limit_w},
      {"nvmlDeviceGetEnforcedPowerLimit", "mW", raw::kPowerLimit_mw, 700, g.power_limit_w},
      {"nvmlDeviceGetTemperature, GPU", "degrees C", raw::kTemperature_c, 40, c.temperature_start_c},
      {"nvmlDeviceGetTemperature, GPU", "degrees C", raw::kTemperature_c, 40, c.temperature_end_c},
      {"nvmlDeviceGetTotalEnergyConsumption", "mJ", raw::kEnergyStep_mj, 250, c.energy_j},
      {"nvmlDeviceGetViolationStatus, power", "ns of us", raw::kPowerViolationStep_ns, 0.05, c.power_held_back},
      {"nvmlDeviceGetViolationStatus, thermal", "ns of us", raw::kThermalViolationStep_ns, 0.01, c.thermal_held_back},
  };
  for (const Row& r : rows) {
    ASSERT_TRUE(r.read) << r.function;
    EXPECT_DOUBLE_EQ(*r.read, r.si) << r.function << ": " << r.raw << " " << r.unit;
  }
}

// The bits of NvmlClocksEventReasons; 0x1 is an idle GPU, which lowers no clock that anybody asked for.
TEST(GpuMonitor, EveryReasonHasItsBit) {
  const std::pair<const char*, std::vector<std::string>> rows[] = {
      {"0x1", {}},
      {"0x2", {"application clocks"}},
      {"0x4", {"power cap"}},
      {"0x8", {"hardware slowdown"}},
      {"0x10", {"sync boost"}},
      {"0x20", {"thermal slowdown"}},
      {"0x40", {"hardware thermal slowdown"}},
      {"0x80", {"power brake"}},
      {"0x100", {"display clocks"}},
  };
  for (const auto& [bit, reasons] : rows) {
    setenv("LAYERCOST_FAKE_NVML_REASONS", bit, 1);
    EXPECT_EQ(watch("").clock_reasons, reasons) << bit;
  }
  unsetenv("LAYERCOST_FAKE_NVML_REASONS");
}

TEST(GpuMonitor, APulseBetweenReadingsIsCaughtByTheCounter) {
  const ConditionsRecord c = watch("pulse");
  EXPECT_TRUE(c.clock_reasons_known);
  EXPECT_TRUE(c.clock_reasons.empty());
  EXPECT_GT(c.power_held_back.value(), 0.01);
}

TEST(GpuMonitor, CountersThatRunBackwardsHaveNoValue) {
  const ConditionsRecord c = watch("backwards");
  EXPECT_FALSE(c.energy_j);
  EXPECT_FALSE(c.power_held_back);
  EXPECT_FALSE(c.thermal_held_back);
}

TEST(GpuMonitor, WhatIsNotToldIsAbsentAndNotNone) {
  const ConditionsRecord c = watch("silent");
  EXPECT_FALSE(c.clock_reasons_known);
  EXPECT_FALSE(c.sm_clock_min_hz || c.power_median_w || c.power_limit_w || c.temperature_start_c || c.energy_j ||
               c.power_held_back || c.other_processes);
}

TEST(GpuMonitor, Facts) {
  const GpuRecord g = GpuMonitor(kUuid, LAYERCOST_FAKE_NVML_FILE).facts();
  EXPECT_EQ(g.driver, "580.65.06");
  EXPECT_TRUE(g.error_correction.value());
  EXPECT_TRUE(g.persistence.value());
  EXPECT_FALSE(g.mig.value());
  EXPECT_DOUBLE_EQ(g.power_limit_w.value(), 700);
  EXPECT_DOUBLE_EQ(g.sm_clock_limit_hz.value(), 1.98e9);
}

TEST(GpuMonitor, SaysWhyItCannotRead) {
  GpuMonitor none(kUuid, "libthere-is-no-such-thing.so.1");
  EXPECT_NE(none.why_not().find("libthere-is-no-such-thing"), std::string::npos);
  none.start();
  EXPECT_FALSE(none.stop());
  GpuMonitor unknown("GPU-cccccccc-0000-0000-0000-000000000000", LAYERCOST_FAKE_NVML_FILE);
  EXPECT_NE(unknown.why_not().find("GPU-cccccccc"), std::string::npos);
}

}  // namespace
}  // namespace layercost
