// SPDX-License-Identifier: Apache-2.0
#include "kernels/runtime/caches.h"

#include <fmt/format.h>
#include <stdlib.h>
#ifdef LAYERCOST_HWLOC
#include <hwloc.h>
#endif

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <utility>

#include "kernels/runtime/runtime.h"
#include "kernels/runtime/topology.h"

namespace layercost {
namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 40;  // of one cache; the largest built hold a thousandth
constexpr int kMostLevel = 9;

// Caches, told apart by whatever names them.
template <typename Name>
std::optional<LastLevelCaches> sum_of(const std::map<Name, std::uint64_t>& caches, int level, const char* source) {
  if (caches.empty()) return std::nullopt;
  LastLevelCaches out{static_cast<std::int64_t>(caches.size()), 0, fmt::format("{} L{}", source, level)};
  for (const auto& [name, bytes] : caches) out.bytes += bytes;
  return out;
}

// "32768K", as sysfs writes it.
std::optional<std::uint64_t> bytes_in(const std::string& text) {
  std::uint64_t amount = 0;
  const char* end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, amount);
  if (error != std::errc() || end - unit > 1 || amount == 0 || amount > kMostBytes) return std::nullopt;
  const int shift = unit == end ? 0 : *unit == 'K' ? 10 : *unit == 'M' ? 20 : *unit == 'G' ? 30 : -1;
  if (shift < 0 || amount > kMostBytes >> shift) return std::nullopt;
  return amount << shift;
}

int level_in(const std::string& text) {
  return text.size() == 1 && text[0] >= '1' && text[0] <= '0' + kMostLevel ? text[0] - '0' : 0;
}

}  // namespace

const std::optional<LastLevelCaches>& last_level_caches() {
  static const auto caches = [] {
    const auto told = caches_from_hwloc(allowed_cpus());
    return told ? told : caches_from_sysfs(allowed_cpus());
  }();
  return caches;
}

std::optional<LastLevelCaches> caches_from_sysfs(const std::vector<int>& allowed, const std::string& root) {
  std::map<std::pair<int, std::vector<int>>, std::uint64_t> caches;  // by level and by the CPUs that share it
  int highest = 0;
  for (const int cpu : allowed) {
    int last = 0;
    std::uint64_t bytes = 0;
    std::vector<int> sharing;
    for (int i = 0; i < 8; ++i) {
      const std::string folder = fmt::format("{}/sys/devices/system/cpu/cpu{}/cache/index{}/", root, cpu, i);
      const int level = level_in(first_line(folder + "level"));
      const auto size = bytes_in(first_line(folder + "size"));
      if (level <= last || !size || first_line(folder + "type") == "Instruction") continue;
      last = level;
      bytes = *size;
      // Without a list nobody tells which CPUs share it: then all do.
      sharing = parse_cpu_list(first_line(folder + "shared_cpu_list")).value_or(std::vector<int>());
      if (!std::binary_search(sharing.begin(), sharing.end(), cpu)) sharing.clear();
    }
    if (last == 0) continue;
    highest = std::max(highest, last);
    std::uint64_t& known = caches[{last, sharing}];
    known = std::max(known, bytes);
  }
  return sum_of(caches, highest, "sysfs");
}

#ifdef LAYERCOST_HWLOC

bool built_with_hwloc() { return true; }

std::optional<LastLevelCaches> caches_from_hwloc(const std::vector<int>& allowed, const std::string& synthetic) {
  // What it cannot see is no news for our standard error: in a container /sys may be missing.
  ::setenv("HWLOC_HIDE_ERRORS", "2", 0);
  hwloc_topology_t made = nullptr;
  if (hwloc_topology_init(&made) != 0) return std::nullopt;
  const std::unique_ptr<hwloc_topology, void (*)(hwloc_topology_t)> topology(made, hwloc_topology_destroy);
  if (!synthetic.empty() && hwloc_topology_set_synthetic(made, synthetic.c_str()) != 0) return std::nullopt;
  hwloc_topology_set_all_types_filter(made, HWLOC_TYPE_FILTER_KEEP_NONE);
  hwloc_topology_set_cache_types_filter(made, HWLOC_TYPE_FILTER_KEEP_ALL);
  // Looking must not move our threads, which may be pinned.
  hwloc_topology_set_flags(made, HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING);
  if (hwloc_topology_load(made) != 0) return std::nullopt;
  // The user's HWLOC_XMLFILE or HWLOC_SYNTHETIC may describe another machine.
  if (synthetic.empty() && !hwloc_topology_is_thissystem(made)) return std::nullopt;
  std::map<hwloc_obj_t, std::uint64_t> caches;
  int highest = 0;
  for (const int cpu : allowed) {
    hwloc_obj_t last = nullptr;
    for (hwloc_obj_t above = hwloc_get_pu_obj_by_os_index(made, static_cast<unsigned>(cpu)); above != nullptr;
         above = above->parent)
      if (hwloc_obj_type_is_dcache(above->type) && above->attr->cache.size > 0 && above->attr->cache.size <= kMostBytes)
        last = above;
    if (last == nullptr) continue;
    caches[last] = last->attr->cache.size;
    highest = std::max(highest, static_cast<int>(last->attr->cache.depth));
  }
  return sum_of(caches, highest, "hwloc");
}

#else

bool built_with_hwloc() { return false; }

std::optional<LastLevelCaches> caches_from_hwloc(const std::vector<int>&, const std::string&) { return std::nullopt; }

#endif

}  // namespace layercost
