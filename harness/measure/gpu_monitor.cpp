// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/gpu_monitor.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include "harness/result/stats.h"
#include "kernels/runtime/runtime.h"

namespace layercost {
namespace {

// NVML's types, as far as they are needed: handles are opaque, 0 is success.
using Handle = void*;
enum Clock { kSmClock = 1, kMemoryClock = 2 };
enum Policy { kPower = 0, kThermal = 1 };
struct ViolationTime {
  unsigned long long reference_us, violation_ns;  // two units in one struct: NVML's documentation says so
};
struct ProcessInfo {
  unsigned pid;
  unsigned long long memory_bytes;
  unsigned gpu_instance, compute_instance;
};

struct Reason {
  unsigned long long bit;
  const char* name;
};
constexpr Reason kReasons[] = {
    {0x2, "application clocks"}, {0x4, "power cap"},         {0x8, "hardware slowdown"},
    {0x10, "sync boost"},        {0x20, "thermal slowdown"}, {0x40, "hardware thermal slowdown"},
    {0x80, "power brake"},       {0x100, "display clocks"},
};

struct Readings {
  std::vector<double> sm_clock_hz, memory_clock_hz, power_w, temperature_c;
  std::set<std::string> reasons;
  bool reasons_known = false;
  std::int64_t count = 0;
};

void spread(std::vector<double> v, std::optional<double>& low, std::optional<double>& middle,
            std::optional<double>& high) {
  if (v.empty()) return;
  low = *std::min_element(v.begin(), v.end());
  high = *std::max_element(v.begin(), v.end());
  middle = median(v);
}

}  // namespace

struct GpuMonitor::Reader {
  void* library = nullptr;
  Handle device = nullptr;
  std::thread thread;
  std::atomic<bool> running{false};
  Readings readings;
  double begin_s = 0;
  std::optional<unsigned long long> begin_energy_mj;
  std::optional<ViolationTime> begin_power, begin_thermal;

  ~Reader() {
    running = false;
    if (thread.joinable()) thread.join();
    if (library == nullptr) return;
    if (auto* f = find<int()>("nvmlShutdown")) f();
    dlclose(library);
  }

  template <class F>
  F* find(const char* name) const {
    return reinterpret_cast<F*>(dlsym(library, name));
  }
  // The function's last argument is where the value goes.
  template <class T, class... Arguments>
  std::optional<T> get(const char* name, Arguments... arguments) const {
    auto* f = find<int(Handle, Arguments..., T*)>(name);
    T value{};
    if (f == nullptr || f(device, arguments..., &value) != 0) return std::nullopt;
    return value;
  }
  template <class T>
  std::optional<bool> mode(const char* name) const {  // current and pending
    auto* f = find<int(Handle, T*, T*)>(name);
    T current{}, pending{};
    if (f == nullptr || f(device, &current, &pending) != 0) return std::nullopt;
    return current != T{};
  }

  void read() {
    ++readings.count;
    if (const auto v = get<unsigned>("nvmlDeviceGetClockInfo", int{kSmClock})) readings.sm_clock_hz.push_back(1e6 * *v);
    if (const auto v = get<unsigned>("nvmlDeviceGetClockInfo", int{kMemoryClock}))
      readings.memory_clock_hz.push_back(1e6 * *v);
    if (const auto v = get<unsigned>("nvmlDeviceGetPowerUsage")) readings.power_w.push_back(1e-3 * *v);
    if (const auto v = get<unsigned>("nvmlDeviceGetTemperature", 0)) readings.temperature_c.push_back(*v);
    auto bits = get<unsigned long long>("nvmlDeviceGetCurrentClocksEventReasons");
    if (!bits) bits = get<unsigned long long>("nvmlDeviceGetCurrentClocksThrottleReasons");
    if (bits) {
      readings.reasons_known = true;
      for (const Reason& r : kReasons)
        if ((*bits & r.bit) != 0) readings.reasons.insert(r.name);
    }
  }
  std::optional<ViolationTime> violation(Policy policy) const {
    return get<ViolationTime>("nvmlDeviceGetViolationStatus", int{policy});
  }
  std::optional<unsigned long long> energy() const {
    return get<unsigned long long>("nvmlDeviceGetTotalEnergyConsumption");
  }
  std::optional<std::int64_t> other_processes() const {
    unsigned count = 64;
    ProcessInfo list[64];
    auto* f = find<int(Handle, unsigned*, ProcessInfo*)>("nvmlDeviceGetComputeRunningProcesses_v3");
    if (f == nullptr || f(device, &count, list) != 0) return std::nullopt;
    // One of them is this program; its number may be another one outside of a container.
    return std::max<std::int64_t>(0, std::int64_t{count} - 1);
  }
};

GpuMonitor::GpuMonitor(const std::string& uuid, const std::string& library) : reader_(std::make_unique<Reader>()) {
  why_not_ = [&]() -> std::string {
    reader_->library = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (reader_->library == nullptr) return "the driver's management library (" + library + ") is not here";
    auto* init = reader_->find<int()>("nvmlInit_v2");
    if (init == nullptr || init() != 0) return "the driver's management library does not start";
    auto* by_uuid = reader_->find<int(const char*, Handle*)>("nvmlDeviceGetHandleByUUID");
    if (by_uuid == nullptr || by_uuid(uuid.c_str(), &reader_->device) != 0)
      return "the driver's management library does not know the device " + uuid;
    return {};
  }();
  if (!why_not_.empty()) reader_.reset();
}

GpuMonitor::~GpuMonitor() = default;

GpuRecord GpuMonitor::facts() const {
  GpuRecord g;
  if (!reader_) return g;
  if (auto* f = reader_->find<int(char*, unsigned)>("nvmlSystemGetDriverVersion")) {
    char text[81] = {};
    if (f(text, sizeof text - 1) == 0) g.driver = text;
  }
  g.error_correction = reader_->mode<int>("nvmlDeviceGetEccMode");
  g.mig = reader_->mode<unsigned>("nvmlDeviceGetMigMode");
  if (const auto v = reader_->get<int>("nvmlDeviceGetPersistenceMode")) g.persistence = *v != 0;
  if (const auto v = reader_->get<unsigned>("nvmlDeviceGetEnforcedPowerLimit")) g.power_limit_w = 1e-3 * *v;
  if (const auto v = reader_->get<unsigned>("nvmlDeviceGetMaxClockInfo", int{kSmClock})) g.sm_clock_limit_hz = 1e6 * *v;
  return g;
}

void GpuMonitor::start() {
  if (!reader_ || reader_->running) return;
  Reader& r = *reader_;
  r.readings = {};
  r.begin_energy_mj = r.energy();
  r.begin_power = r.violation(kPower);
  r.begin_thermal = r.violation(kThermal);
  r.begin_s = now_s();
  r.read();
  r.running = true;
  r.thread = std::thread([&r] {
    while (r.running) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      r.read();
    }
  });
}

std::optional<ConditionsRecord> GpuMonitor::stop() {
  if (!reader_ || !reader_->running) return std::nullopt;
  Reader& r = *reader_;
  r.running = false;
  r.thread.join();
  r.read();
  ConditionsRecord c;
  c.window_s = now_s() - r.begin_s;
  c.readings = r.readings.count;
  spread(r.readings.sm_clock_hz, c.sm_clock_min_hz, c.sm_clock_median_hz, c.sm_clock_max_hz);
  spread(r.readings.memory_clock_hz, c.memory_clock_min_hz, c.memory_clock_median_hz, c.memory_clock_max_hz);
  spread(r.readings.power_w, c.power_min_w, c.power_median_w, c.power_max_w);
  if (const auto v = r.get<unsigned>("nvmlDeviceGetEnforcedPowerLimit")) c.power_limit_w = 1e-3 * *v;
  if (!r.readings.temperature_c.empty()) {
    c.temperature_start_c = r.readings.temperature_c.front();
    c.temperature_end_c = r.readings.temperature_c.back();
  }
  c.clock_reasons_known = r.readings.reasons_known;
  c.clock_reasons.assign(r.readings.reasons.begin(), r.readings.reasons.end());
  // A counter that runs backwards was reset: no value (TRUST E1).
  const auto fraction = [](const std::optional<ViolationTime>& a, const std::optional<ViolationTime>& b) {
    std::optional<double> out;
    if (a && b && b->reference_us > a->reference_us && b->violation_ns >= a->violation_ns)
      out = 1e-9 * static_cast<double>(b->violation_ns - a->violation_ns) /
            (1e-6 * static_cast<double>(b->reference_us - a->reference_us));
    return out;
  };
  c.power_held_back = fraction(r.begin_power, r.violation(kPower));
  c.thermal_held_back = fraction(r.begin_thermal, r.violation(kThermal));
  // 0 J over a window in which the device worked is a counter that stands still, not an energy.
  if (const auto end = r.energy(); end && r.begin_energy_mj && *end > *r.begin_energy_mj)
    c.energy_j = 1e-3 * static_cast<double>(*end - *r.begin_energy_mj);
  c.other_processes = r.other_processes();
  return c;
}

}  // namespace layercost
