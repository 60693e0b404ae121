// What:    the CPUs that this process may use, how they hang together, and which of them its threads are pinned to.
// Source:  the affinity mask, /proc/self/cgroup, /sys/fs/cgroup, /sys/devices/system/{cpu,node}, /sys/devices/cpu_atom,
//          /proc/stat (Documentation/admin-guide/cputopology.rst and /ABI/ of the Linux kernel).
// Order:   one thread to each physical core before any core gets a second; fast cores before slow ones; cores of one
//          NUMA node, then of the next. Kinds of cores are those whose capacity (cpu_capacity, else cpuinfo_max_freq)
//          lies more than a tenth below that of the kind before: favoured cores of one kind differ by a few percent. A
//          hybrid processor's efficient cores are a kind of their own where the system names them (cpu_atom).
// Others:  where a choice is left, cores that were busy in the last tenth of a second come last, and so do those on
//          which a thread of another run of this program sits; where all CPUs have one, those with the fewest come
//          first. Runs see each other through names of abstract sockets, which vanish with the process; runs in other
//          network namespaces (containers) only as busy cores.
// Trust:   files are read up to 64 KiB; what is not understood counts as not there. Missing is absent, never 0.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace layercost {

struct Cpu {
  int id = 0;
  int core = 0;           // index into CpuTopology::cores
  int place_in_core = 0;  // 0: the core's first CPU that this process may use
};

struct CpuCore {
  int kind = 0;           // index into CpuTopology::kinds
  int node = 0;           // the system's number; 0 if it does not tell
  std::vector<int> cpus;  // ids, ascending
};

struct CoreKind {
  std::int64_t cores = 0, cpus = 0;
  std::optional<std::int64_t> capacity;  // of the fastest: 1024 is the fastest of the machine
  std::optional<double> max_hz;          // of the fastest, as the system says
};

struct CpuTopology {
  std::vector<Cpu> cpus;  // that this process may use; in the order in which threads take them
  std::vector<CpuCore> cores;
  std::vector<CoreKind> kinds;  // fastest first
  std::optional<std::int64_t> sockets, numa_nodes;
  bool cores_known = false;  // else each CPU counts as a core of its own
};

// `allowed`, ascending, in the tree under `root` ("" is the machine's own).
CpuTopology read_topology(const std::vector<int>& allowed, const std::string& root = "");

// "0-2,8" -> 0 1 2 8; nothing for what is not such a list. Numbers beyond 65535 are left out.
std::optional<std::vector<int>> parse_cpu_list(const std::string& text);

// This process's cgroup of this controller and all above it, as folders.
std::vector<std::string> cgroup_folders(const std::string& v1_controller, const std::string& root = "");

// As many threads as CPUs, or as the cgroups' quota has whole ones.
int threads_within_quota(int cpus, const std::string& root = "");

// The CPUs that this process was given, before pin_threads narrowed any thread's.
const std::vector<int>& allowed_cpus();

// CPUs for so many threads (at most as many as there are). `claim` takes a place on a CPU from other runs, if it is
// free: 0, or one of those behind it for a CPU that runs have to share. `release` gives place 0 back.
struct Claims {
  std::function<bool(int cpu, int place)> claim;
  std::function<void(int cpu)> release;
};
std::vector<int> choose_cpus(const CpuTopology&, int threads, const std::set<int>& busy, const Claims&);

// The CPUs that were busy for more than half of the time between two readings of /proc/stat.
std::set<int> busy_cpus(const std::string& before, const std::string& after);

// Gives each OpenMP thread a CPU of its own, unless the user has bound them (OMP_PROC_BIND) or there are more threads
// than CPUs.
struct Pinning {
  bool pinned = false;
  std::vector<int> cpus;  // of thread 0, 1, ...; empty if we did not do it
};
Pinning pin_threads(int threads);

}  // namespace layercost
