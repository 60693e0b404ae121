// What:    what the stand-in for NVML (fake_nvml.cpp) answers for its second board, in the units that NVML documents.
// Source:  NVIDIA, NVML API reference: device queries, nvmlViolationTime_t.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace layercost::fake_nvml {

constexpr unsigned kSmClock_mhz = 1200;  // and 1300, 1400, in turn
constexpr unsigned kMaxSmClock_mhz = 1980, kMemoryClock_mhz = 2619;
constexpr unsigned kPower_mw = 650000, kPowerLimit_mw = 700000;
constexpr unsigned kTemperature_c = 40;
// Counters: what they grow by between the beginning and the end of a window.
constexpr unsigned long long kEnergyStep_mj = 250000;
constexpr unsigned long long kReferenceStep_us = 1000000;
constexpr unsigned long long kPowerViolationStep_ns = 50000000, kThermalViolationStep_ns = 10000000;

}  // namespace layercost::fake_nvml
