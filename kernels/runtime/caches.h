// What:    the last-level caches above the CPUs that this process may use: how many, and what they hold together. On
//          chiplets and on several sockets there are several, and weights that should be cold may lie in any of them.
// Counts:  of each CPU the cache of its highest level that is not for instructions alone; each cache once, whole, also
//          where other processes' CPUs share it. Levels may differ: slow cores may have none behind their second.
// Source:  hwloc where this program was built with it and it speaks of this machine (caches.cpp is the one file that
//          includes it), else /sys/devices/system/cpu/cpu*/cache. A virtual machine tells what its host chooses to
//          tell.
// Trust:   what is not understood counts as not there; nothing where no cache is found.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace layercost {

struct LastLevelCaches {
  std::int64_t count = 0;
  std::uint64_t bytes = 0;  // the sum
  std::string source;       // "hwloc L3", "sysfs L3": the highest level among them
};

// Of this machine and the CPUs that this process was given; looked up once.
const std::optional<LastLevelCaches>& last_level_caches();

// `allowed` in the tree under `root` ("" is the machine's own).
std::optional<LastLevelCaches> caches_from_sysfs(const std::vector<int>& allowed, const std::string& root = "");

// `synthetic` "": this machine; else one that is described in hwloc's words, such as "pack:2 l3:4(size=33554432) pu:8".
// Nothing in a build without hwloc.
std::optional<LastLevelCaches> caches_from_hwloc(const std::vector<int>& allowed, const std::string& synthetic = "");
bool built_with_hwloc();

}  // namespace layercost
