// SPDX-License-Identifier: Apache-2.0
#include "harness/measure/environment.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "harness/measure/gpu_monitor.h"
#include "harness/result/privacy.h"
#include "kernels/libraries/cublaslt.h"
#include "kernels/libraries/onednn.h"
#include "kernels/runtime/caches.h"
#include "kernels/runtime/topology.h"

namespace layercost {
namespace {

// "always [madvise] never" -> "madvise"
std::string bracketed(const std::string& s) {
  const auto a = s.find('['), b = s.find(']');
  return a == std::string::npos || b == std::string::npos ? s : s.substr(a + 1, b - a - 1);
}

double own_cpu_s() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  const auto s = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  return s(u.ru_utime) + s(u.ru_stime);
}

// user + nice + system + irq + softirq + steal over all CPUs; -1 if unreadable.
double all_cpu_s() {
  std::istringstream in(first_line("/proc/stat"));
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  if (!(in >> cpu >> user >> nice >> system >> idle >> iowait >> irq >> softirq)) return -1;
  in >> steal;
  return (user + nice + system + irq + softirq + steal) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

TopologyRecord topology_record() {
  const CpuTopology t = read_topology(allowed_cpus());
  TopologyRecord r;
  r.cpus = static_cast<std::int64_t>(t.cpus.size());
  r.sockets = t.sockets;
  r.numa_nodes = t.numa_nodes;
  if (t.cores_known) {
    r.cores = static_cast<std::int64_t>(t.cores.size());
    for (const CoreKind& k : t.kinds) r.kinds.push_back({k.cores, k.cpus, k.capacity, k.max_hz});
  }
  return r;
}

}  // namespace

std::optional<Warning> numa_warning(const TopologyRecord& t) {
  const std::int64_t nodes = t.numa_nodes.value_or(1);
  if (nodes < 2) return std::nullopt;
  return Warning{"numa", fmt::format("this machine has {} NUMA nodes: threads fill one after the other, and weights "
                                     "lie where they were first written; they were not spread by node",
                                     nodes)};
}

EnvironmentRecord describe_environment(const DeviceInfo& d) {
  EnvironmentRecord e;
  e.device_id = d.id;
  e.device_name = d.name;
  e.target = to_string(d.target);
  e.threads = d.threads;
  e.memory_bytes = static_cast<double>(d.memory_bytes);
  e.available_bytes = static_cast<double>(d.available_bytes);
  e.last_level_cache_bytes = static_cast<double>(d.last_level_cache_bytes);
  if (d.target == Target::cpu && last_level_caches()) e.last_level_caches = last_level_caches()->count;
  e.last_level_cache_source = d.last_level_cache_source;
  if (d.cpu.avx2) e.features.push_back("avx2");
  if (d.cpu.avx512) e.features.push_back("avx512");
  if (d.cpu.avx512_bf16) e.features.push_back("avx512_bf16");
  if (d.cpu.amx_bf16) e.features.push_back("amx_bf16");
  utsname u{};
  if (uname(&u) == 0) e.kernel = fmt::format("{} {} {}", u.sysname, u.release, u.machine);
  std::ifstream os("/etc/os-release");
  for (std::string line; std::getline(os, line);)
    if (line.starts_with("PRETTY_NAME=\"")) e.operating_system = line.substr(13, line.size() - 14);
#if defined(__VERSION__)
#if defined(__clang__)
  e.compiler = __VERSION__;
#else
  e.compiler = std::string("gcc ") + __VERSION__;
#endif
#endif
#ifdef NDEBUG
  e.build_type = "release";
#else
  e.build_type = "debug";
#endif
#if defined(__SANITIZE_ADDRESS__)
  e.build_type += " address-sanitizer";
#endif
  e.huge_pages = bracketed(first_line("/sys/kernel/mm/transparent_hugepage/enabled"));
  if (const std::string g = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"); !g.empty())
    e.governor = g;
  e.topology = topology_record();
  double load = 0;
  if (std::istringstream(first_line("/proc/loadavg")) >> load) e.load_average = load;
  if (const std::string v = onednn_version(); !v.empty()) e.libraries["oneDNN"] = v;
  if (d.target == Target::cuda) {
    e.gpu = GpuMonitor(d.cuda.uuid).facts();
    e.gpu->cuda_driver = d.cuda.driver;
    e.gpu->cuda_runtime = d.cuda.runtime;
    e.gpu->uuid = d.cuda.uuid;
    e.gpu->pci = d.cuda.pci;
    hash_identifiers(*e.gpu);
    e.gpu->host_cpu = describe_cpu().name;
    e.gpu->compute_capability = fmt::format("{}.{}", d.cuda.major, d.cuda.minor);
    e.gpu->multiprocessors = d.cuda.multiprocessors;
    if (cublaslt_version) {
      if (const std::string v = cublaslt_version(); !v.empty()) e.libraries["cuBLASLt"] = v;
    }
  }
  return e;
}

std::optional<double> huge_page_fraction() {
  std::ifstream in("/proc/self/smaps_rollup");
  double own = 0, huge = -1;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string key;
    double kib = 0;
    if (!(words >> key >> kib)) continue;
    if (key == "Anonymous:") own = kib;
    if (key == "AnonHugePages:") huge = kib;
  }
  if (!(own > 0) || huge < 0) return std::nullopt;
  return std::min(1.0, huge / own);
}

void NeighbourMeter::start() {
  all_s_ = all_cpu_s();
  own_s_ = own_cpu_s();
  at_s_ = now_s();
}

std::optional<double> NeighbourMeter::busy_cpus() const {
  const double all = all_cpu_s(), wall = now_s() - at_s_;
  if (all < 0 || all_s_ < 0 || wall <= 0) return std::nullopt;
  return std::max(0.0, (all - all_s_ - (own_cpu_s() - own_s_)) / wall);
}

}  // namespace layercost
