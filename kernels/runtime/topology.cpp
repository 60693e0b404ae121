// SPDX-License-Identifier: Apache-2.0
#include "kernels/runtime/topology.h"

#include <fmt/format.h>
#include <omp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>
#include <tuple>
#include <utility>

#include "kernels/core/affinity.h"

namespace layercost {
namespace {

constexpr int kMostCpus = 65536;  // more than Linux can be built for (8192)
constexpr std::size_t kMostBytes = 65536;
constexpr int kPlaces = 64;  // on one CPU, for as many runs; those beyond are not told apart

std::string small_file(const std::string& path) {
  std::ifstream in(path);
  std::string text(kMostBytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, in.gcount())));
  return text;
}

std::optional<std::int64_t> number_in(const std::string& path) {
  const std::string text = small_file(path);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || (end != text.data() + text.size() && *end != '\n')) return std::nullopt;
  return value;
}

// A limit of a cgroup's files, or nothing ("max", no file).
std::optional<double> positive(const std::string& text) {
  std::istringstream in(text);
  double value = 0;
  if (!(in >> value) || !(value > 0) || !std::isfinite(value)) return std::nullopt;
  return value;
}

// What the system says of one CPU.
struct Facts {
  int id = 0;
  std::optional<std::int64_t> leader, socket, node, capacity;  // leader: the first CPU of its core
  std::optional<double> max_hz;
  bool efficient = false;
};

bool all_have(const std::vector<Facts>& cpus, const auto& member) {
  return std::all_of(cpus.begin(), cpus.end(), [&](const Facts& f) { return (f.*member).has_value(); });
}

std::optional<std::int64_t> distinct(const std::vector<Facts>& cpus, std::optional<std::int64_t> Facts::*member) {
  if (!all_have(cpus, member)) return std::nullopt;
  std::set<std::int64_t> seen;
  for (const Facts& f : cpus) seen.insert(*(f.*member));
  return static_cast<std::int64_t>(seen.size());
}

std::set<int> cpus_in(const std::string& path) {
  const auto list = parse_cpu_list(small_file(path));
  return list ? std::set<int>(list->begin(), list->end()) : std::set<int>();
}

std::vector<Facts> read_facts(const std::vector<int>& allowed, const std::string& root) {
  const std::set<int> efficient = cpus_in(root + "/sys/devices/cpu_atom/cpus");
  std::map<int, int> node_of;
  std::error_code none;
  const std::filesystem::path nodes = root + "/sys/devices/system/node";
  for (auto it = std::filesystem::directory_iterator(nodes, none); !none && it != std::filesystem::directory_iterator();
       it.increment(none)) {
    const std::string name = it->path().filename().string();
    int node = 0;
    if (!name.starts_with("node")) continue;
    const auto [end, error] = std::from_chars(name.data() + 4, name.data() + name.size(), node);
    if (error != std::errc() || end != name.data() + name.size() || node < 0) continue;
    for (const int cpu : cpus_in(it->path().string() + "/cpulist")) node_of.emplace(cpu, node);
  }
  std::vector<Facts> out;
  for (const int id : allowed) {
    const std::string folder = fmt::format("{}/sys/devices/system/cpu/cpu{}/", root, id);
    Facts f;
    f.id = id;
    auto siblings = parse_cpu_list(small_file(folder + "topology/core_cpus_list"));
    if (!siblings) siblings = parse_cpu_list(small_file(folder + "topology/thread_siblings_list"));
    if (siblings && std::find(siblings->begin(), siblings->end(), id) != siblings->end())
      f.leader = *std::min_element(siblings->begin(), siblings->end());
    if (const auto socket = number_in(folder + "topology/physical_package_id"); socket && *socket >= 0)
      f.socket = *socket;
    if (const auto it = node_of.find(id); it != node_of.end()) f.node = it->second;
    if (const auto capacity = number_in(folder + "cpu_capacity"); capacity && *capacity > 0 && *capacity <= 1 << 20)
      f.capacity = *capacity;
    if (const auto khz = number_in(folder + "cpufreq/cpuinfo_max_freq"); khz && *khz > 0 && *khz < 1'000'000'000)
      f.max_hz = 1e3 * static_cast<double>(*khz);
    f.efficient = efficient.contains(id);
    out.push_back(f);
  }
  return out;
}

// Kinds of CPUs, fastest first: the kind of each.
std::vector<int> kinds_of(const std::vector<Facts>& cpus) {
  // Virtual machines tell the same capacity of every CPU, which says nothing.
  const bool by_capacity = all_have(cpus, &Facts::capacity) && distinct(cpus, &Facts::capacity) > 1;
  const bool by_clock = all_have(cpus, &Facts::max_hz);
  const auto speed = [&](const Facts& f) {
    return by_capacity ? static_cast<double>(*f.capacity) : by_clock ? *f.max_hz : 1.0;
  };
  std::vector<std::size_t> order(cpus.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tuple(cpus[a].efficient, -speed(cpus[a]), a) < std::tuple(cpus[b].efficient, -speed(cpus[b]), b);
  });
  std::vector<int> kinds(cpus.size());
  int kind = 0;
  std::size_t first = 0;
  for (const std::size_t i : order) {
    const Facts& fastest = cpus[order[first]];
    if (cpus[i].efficient != fastest.efficient || speed(cpus[i]) < 0.9 * speed(fastest)) {
      ++kind;
      first = static_cast<std::size_t>(std::find(order.begin(), order.end(), i) - order.begin());
    }
    kinds[i] = kind;
  }
  return kinds;
}

// The names of abstract sockets are the claims: the system gives each to one process, and takes it back at its end.
int bind_name(int cpu, int place) {
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string name = fmt::format("layercost-cpu-{}", cpu);
  if (place > 0) name += fmt::format("-{}", place);  // without one: as runs of earlier versions claim
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0) return fd;
  ::close(fd);
  return -1;
}

}  // namespace

std::optional<std::vector<int>> parse_cpu_list(const std::string& text) {
  std::set<int> ids;
  const char *at = text.data(), *end = at + text.size();
  while (end > at && (end[-1] == '\n' || end[-1] == ' ')) --end;
  if (at == end) return std::nullopt;
  const auto read = [&](std::int64_t& value) {
    const auto [next, error] = std::from_chars(at, end, value);
    at = next;
    return error == std::errc() && value >= 0;
  };
  for (;; ++at) {
    std::int64_t low = 0, high = 0;
    if (!read(low)) return std::nullopt;
    high = low;
    if (at != end && *at == '-') {
      ++at;
      if (!read(high) || high < low) return std::nullopt;
    }
    for (std::int64_t id = low; id <= std::min<std::int64_t>(high, kMostCpus - 1); ++id)
      ids.insert(static_cast<int>(id));
    if (at == end) break;
    if (*at != ',') return std::nullopt;
  }
  return std::vector<int>(ids.begin(), ids.end());
}

// Version 2 has one tree, version 1 one per controller.
std::vector<std::string> cgroup_folders(const std::string& v1_controller, const std::string& root) {
  std::vector<std::string> out;
  std::istringstream in(small_file(root + "/proc/self/cgroup"));
  for (std::string line; std::getline(in, line);) {
    const auto a = line.find(':');
    if (a == std::string::npos) continue;
    const auto b = line.find(':', a + 1);
    if (b == std::string::npos) continue;
    const std::string controllers = line.substr(a + 1, b - a - 1);
    std::string tree = root + "/sys/fs/cgroup";
    if (!controllers.empty()) {
      if (("," + controllers + ",").find("," + v1_controller + ",") == std::string::npos) continue;
      tree += "/" + v1_controller;
    }
    for (std::filesystem::path p = line.substr(b + 1);; p = p.parent_path()) {
      out.push_back(tree + (p == "/" ? std::string() : p.string()));
      if (p == "/" || p.empty()) break;
    }
  }
  return out;
}

int threads_within_quota(int cpus, const std::string& root) {
  int threads = cpus;
  for (const std::string& folder : cgroup_folders("cpu", root)) {
    std::istringstream v2(small_file(folder + "/cpu.max"));
    std::string first, second;
    v2 >> first >> second;
    auto quota = positive(first), period = positive(second);
    if (first.empty()) {
      quota = positive(small_file(folder + "/cpu.cfs_quota_us"));
      period = positive(small_file(folder + "/cpu.cfs_period_us"));
    }
    if (quota && period) threads = static_cast<int>(std::min<double>(threads, std::floor(*quota / *period)));
  }
  return std::max(1, threads);
}

CpuTopology read_topology(const std::vector<int>& allowed, const std::string& root) {
  CpuTopology t;
  const std::vector<Facts> facts = read_facts(allowed, root);
  if (facts.empty()) return t;
  t.sockets = distinct(facts, &Facts::socket);
  t.numa_nodes = distinct(facts, &Facts::node);
  t.cores_known = all_have(facts, &Facts::leader);
  const std::vector<int> kinds = kinds_of(facts);
  t.kinds.resize(static_cast<std::size_t>(*std::max_element(kinds.begin(), kinds.end())) + 1);
  std::map<std::int64_t, std::size_t> core_of;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    const Facts& f = facts[i];
    const auto [it, is_new] = core_of.emplace(t.cores_known ? *f.leader : f.id, t.cores.size());
    if (is_new) t.cores.push_back({kinds[i], static_cast<int>(f.node.value_or(0)), {}});
    CpuCore& core = t.cores[it->second];
    t.cpus.push_back({f.id, static_cast<int>(it->second), static_cast<int>(core.cpus.size())});
    core.cpus.push_back(f.id);
    CoreKind& kind = t.kinds[static_cast<std::size_t>(core.kind)];
    kind.cores += is_new;
    ++kind.cpus;
    if (f.capacity) kind.capacity = std::max(kind.capacity.value_or(0), *f.capacity);
    if (f.max_hz) kind.max_hz = std::max(kind.max_hz.value_or(0), *f.max_hz);
  }
  const auto key = [&](const Cpu& cpu) {
    const CpuCore& core = t.cores[static_cast<std::size_t>(cpu.core)];
    return std::tuple(cpu.place_in_core, core.kind, core.node, core.cpus.front(), cpu.id);
  };
  std::sort(t.cpus.begin(), t.cpus.end(), [&](const Cpu& a, const Cpu& b) { return key(a) < key(b); });
  return t;
}

const std::vector<int>& allowed_cpus() {
  static const std::vector<int> cpus = [] {
    std::vector<int> list;
    cpu_set_t* set = CPU_ALLOC(kMostCpus);
    const std::size_t bytes = CPU_ALLOC_SIZE(kMostCpus);
    if (set != nullptr && sched_getaffinity(0, bytes, set) == 0)
      for (int i = 0; i < kMostCpus; ++i)
        if (CPU_ISSET_S(static_cast<std::size_t>(i), bytes, set)) list.push_back(i);
    if (set != nullptr) CPU_FREE(set);
    if (list.empty()) list.push_back(0);
    return list;
  }();
  return cpus;
}

std::vector<int> choose_cpus(const CpuTopology& t, int threads, const std::set<int>& busy, const Claims& claims) {
  const auto wanted = std::min(static_cast<std::size_t>(std::max(0, threads)), t.cpus.size());
  const auto is_busy = [&](const CpuCore& core) {
    return std::any_of(core.cpus.begin(), core.cpus.end(), [&](int cpu) { return busy.contains(cpu); });
  };
  std::vector<Cpu> order = t.cpus;
  std::stable_partition(order.begin(), order.end(),
                        [&](const Cpu& cpu) { return !is_busy(t.cores[static_cast<std::size_t>(cpu.core)]); });
  // Whole cores first: nobody else's thread is on them.
  std::set<int> claimed, own_cores;
  for (const Cpu& cpu : order) {
    if (own_cores.size() == wanted) break;
    if (cpu.place_in_core != 0) continue;
    const CpuCore& core = t.cores[static_cast<std::size_t>(cpu.core)];
    std::vector<int> got;
    for (const int id : core.cpus)
      if (claims.claim(id, 0)) got.push_back(id);
    if (got.size() == core.cpus.size()) {
      claimed.insert(got.begin(), got.end());
      own_cores.insert(cpu.core);
    } else {
      for (const int id : got) claims.release(id);
    }
  }
  std::vector<int> chosen;
  std::set<int> taken;
  const auto take = [&](const Cpu& cpu) {
    if (chosen.size() < wanted && taken.insert(cpu.id).second) chosen.push_back(cpu.id);
  };
  for (const Cpu& cpu : order)
    if (own_cores.contains(cpu.core)) take(cpu);
  // Then a core of which another run has a part, then a CPU with one other run, with two, ...
  for (int place = 0; place < kPlaces; ++place)
    for (const Cpu& cpu : order)
      if (chosen.size() < wanted && !taken.contains(cpu.id) && claims.claim(cpu.id, place)) take(cpu);
  for (const Cpu& cpu : order) take(cpu);
  for (const int id : claimed)
    if (!taken.contains(id)) claims.release(id);
  return chosen;
}

std::set<int> busy_cpus(const std::string& before, const std::string& after) {
  // "cpu3 user nice system idle iowait ...": ticks at work, and all.
  const auto read = [](const std::string& text) {
    std::map<int, std::pair<double, double>> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
      int id = 0;
      if (!line.starts_with("cpu") || line.size() < 4) continue;
      const auto [end, error] = std::from_chars(line.data() + 3, line.data() + line.size(), id);
      if (error != std::errc()) continue;
      std::istringstream words(line.substr(static_cast<std::size_t>(end - line.data())));
      double ticks = 0, idle = 0, all = 0;
      for (int i = 0; i < 8 && words >> ticks; ++i) {
        all += ticks;
        if (i == 3 || i == 4) idle += ticks;
      }
      out[id] = {all - idle, all};
    }
    return out;
  };
  const auto then = read(before), now = read(after);
  std::set<int> out;
  for (const auto& [id, ticks] : now) {
    const auto it = then.find(id);
    if (it == then.end()) continue;
    const double work = ticks.first - it->second.first, all = ticks.second - it->second.second;
    if (all > 0 && work > 0.5 * all) out.insert(id);
  }
  return out;
}

Pinning pin_threads(int threads) {
  if (omp_get_proc_bind() != omp_proc_bind_false) return {true, {}};
  const std::vector<int>& cpus = allowed_cpus();
  if (threads > static_cast<int>(cpus.size())) return {};
  const CpuTopology topology = read_topology(cpus);
  std::set<int> busy;
  if (static_cast<std::size_t>(threads) < topology.cores.size()) {
    const std::string before = small_file("/proc/stat");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    busy = busy_cpus(before, small_file("/proc/stat"));
  }
  static std::map<std::pair<int, int>, int> claimed;  // CPU and place, until the process ends
  const auto release = [](int cpu) {
    if (const auto it = claimed.find({cpu, 0}); it != claimed.end()) {
      ::close(it->second);
      claimed.erase(it);
    }
  };
  const auto claim = [](int cpu, int place) {
    if (claimed.contains({cpu, place})) return true;
    const int fd = bind_name(cpu, place);
    if (fd >= 0) claimed.emplace(std::pair(cpu, place), fd);
    return fd >= 0;
  };
  Pinning pinning{true, choose_cpus(topology, threads, busy, {claim, release})};
  bool all = true;
#pragma omp parallel num_threads(threads) reduction(&& : all)
  all = bind_thread(0, pinning.cpus[static_cast<std::size_t>(omp_get_thread_num())]);
  return all ? pinning : Pinning{};
}

}  // namespace layercost
