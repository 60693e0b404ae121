// What:    a stand-in for the driver's management library: two boards in the order that CUDA does not use, with values
//          that tests know (fake_nvml.h). $LAYERCOST_FAKE_NVML picks a fault: "pulse" (clocks lowered only between
//          readings), "backwards" (counters that were reset), "silent" (nothing but the handle can be read);
//          $LAYERCOST_FAKE_NVML_REASONS is the mask of reasons for lowered clocks.
// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "tests/unit/fake_nvml.h"

using namespace layercost::fake_nvml;

namespace {

constexpr const char* kUuids[2] = {"GPU-aaaaaaaa-0000-0000-0000-000000000000",
                                   "GPU-bbbbbbbb-0000-0000-0000-000000000000"};
int boards[2] = {0, 1};
std::atomic<unsigned> reads{0}, counter_reads{0};

int index_of(void* device) { return *static_cast<int*>(device); }
bool fault(const char* name) {
  const char* wanted = std::getenv("LAYERCOST_FAKE_NVML");
  return wanted != nullptr && std::strcmp(wanted, name) == 0;
}
constexpr int kInvalidArgument = 2, kNotSupported = 3;

struct ViolationTime {
  unsigned long long reference_us, violation_ns;
};

}  // namespace

extern "C" {

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
  for (int i = 0; i < 2; ++i)
    if (std::strcmp(uuid, kUuids[i]) == 0) {
      *device = &boards[i];
      return 0;
    }
  return 6;
}
int nvmlSystemGetDriverVersion(char* text, unsigned size) {
  if (fault("silent")) return kNotSupported;
  std::strncpy(text, "580.65.06", size);
  return 0;
}
int nvmlDeviceGetClockInfo(void* device, int type, unsigned* mhz) {
  if (fault("silent")) return kNotSupported;
  if (type < 0 || type > 3) return kInvalidArgument;
  // Graphics, SM, memory, video.
  *mhz = type == 0 ? 111 : type == 3 ? 333 : type == 2 ? kMemoryClock_mhz : kSmClock_mhz + 100 * (reads++ % 3);
  if (type == 1 && index_of(device) == 0) *mhz = 1980;
  return 0;
}
int nvmlDeviceGetMaxClockInfo(void*, int type, unsigned* mhz) {
  if (fault("silent")) return kNotSupported;
  *mhz = type == 1 ? kMaxSmClock_mhz : 444;
  return 0;
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* mw) {
  if (fault("silent")) return kNotSupported;
  *mw = index_of(device) == 0 ? 90000 : kPower_mw;
  return 0;
}
int nvmlDeviceGetEnforcedPowerLimit(void*, unsigned* mw) {
  if (fault("silent")) return kNotSupported;
  *mw = kPowerLimit_mw;
  return 0;
}
int nvmlDeviceGetTemperature(void*, int sensor, unsigned* c) {
  if (fault("silent")) return kNotSupported;
  if (sensor != 0) return kInvalidArgument;  // the GPU die is the only one
  *c = kTemperature_c;
  return 0;
}
int nvmlDeviceGetCurrentClocksEventReasons(void*, unsigned long long* bits) {
  if (fault("silent")) return kNotSupported;
  const char* mask = std::getenv("LAYERCOST_FAKE_NVML_REASONS");
  *bits = fault("pulse") ? 0 : mask != nullptr ? std::strtoull(mask, nullptr, 0) : 0x4;
  return 0;
}
int nvmlDeviceGetViolationStatus(void*, int policy, ViolationTime* t) {
  if (fault("silent")) return kNotSupported;
  const unsigned n = counter_reads++ / 2;  // both policies are read at the start, then both at the end
  t->reference_us = kReferenceStep_us * (n + 1);
  t->violation_ns = (policy == 0 ? kPowerViolationStep_ns : policy == 1 ? kThermalViolationStep_ns : 0) * n;
  if (fault("backwards")) t->violation_ns = 1000000 - 1000 * n;
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* mj) {
  if (fault("silent")) return kNotSupported;
  static std::atomic<unsigned> n{0};
  const unsigned long long step = index_of(device) == 0 ? 1000 : kEnergyStep_mj;
  *mj = fault("backwards") ? 1000000000 - 1000 * n++ : step * n++;
  return 0;
}
int nvmlDeviceGetEccMode(void*, int* current, int* pending) {
  if (fault("silent")) return kNotSupported;
  *current = *pending = 1;
  return 0;
}
int nvmlDeviceGetPersistenceMode(void*, int* mode) {
  if (fault("silent")) return kNotSupported;
  *mode = 1;
  return 0;
}
int nvmlDeviceGetMigMode(void*, unsigned* current, unsigned* pending) {
  if (fault("silent")) return kNotSupported;
  *current = *pending = 0;
  return 0;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void*, unsigned* count, void*) {
  if (fault("silent")) return kNotSupported;
  *count = 3;
  return 0;
}
}
