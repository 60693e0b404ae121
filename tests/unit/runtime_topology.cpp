// Machines as planted trees of sysfs: in which order threads take CPUs, worked out by hand from the trees.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "kernels/runtime/topology.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int>;

class Topology : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "layercost-sysfs-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  void plant(const std::string& file, const std::string& text) const {
    const fs::path path = root_ + file;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  }
  void plant_cpu(int id, const std::string& siblings, int socket = 0) const {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(id) + "/topology/";
    plant(folder + "core_cpus_list", siblings);
    plant(folder + "physical_package_id", std::to_string(socket));
  }
  void plant_of_cpu(int id, const std::string& file, int value) const {
    plant("/sys/devices/system/cpu/cpu" + std::to_string(id) + "/" + file, std::to_string(value));
  }
  CpuTopology topology(const Ids& allowed) const { return read_topology(allowed, root_); }
  Ids order(const Ids& allowed) const {
    Ids out;
    for (const Cpu& cpu : topology(allowed).cpus) out.push_back(cpu.id);
    return out;
  }

  std::string root_;
};

Ids first(int n) {
  Ids ids(static_cast<std::size_t>(n));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

const Claims kAlone = {[](int, int) { return true; }, [](int) {}};

// Three cores with two CPUs each: siblings next to each other, and siblings three apart.
TEST_F(Topology, PhysicalCoresFirst) {
  for (int id = 0; id < 6; ++id) plant_cpu(id, id < 2 ? "0-1" : id < 4 ? "2-3" : "4-5");
  EXPECT_EQ(order(first(6)), (Ids{0, 2, 4, 1, 3, 5}));
  EXPECT_EQ(choose_cpus(topology(first(6)), 3, {}, kAlone), (Ids{0, 2, 4}));
  EXPECT_EQ(choose_cpus(topology(first(6)), 4, {}, kAlone), (Ids{0, 2, 4, 1}));
  EXPECT_EQ(order({1, 2, 3, 5}), (Ids{1, 2, 5, 3}));  // what the mask leaves
  for (int id = 0; id < 6; ++id) plant_cpu(id, std::to_string(id % 3) + "," + std::to_string(id % 3 + 3));
  EXPECT_EQ(order(first(6)), first(6));
  const CpuTopology t = topology(first(6));
  EXPECT_EQ(t.cores.size(), 3u);
  EXPECT_EQ(t.sockets, 1);
  EXPECT_TRUE(t.cores_known);
  EXPECT_FALSE(t.numa_nodes.has_value());
  ASSERT_EQ(t.kinds.size(), 1u);
  EXPECT_EQ(t.kinds[0].cores, 3);
  EXPECT_EQ(t.kinds[0].cpus, 6);
}

// Two fast cores of two CPUs each, four slow ones of one, in each of the three ways that systems tell.
TEST_F(Topology, FastCoresFirst) {
  const auto cores = [&] {
    for (int id = 0; id < 4; ++id) plant_cpu(id, id < 2 ? "0-1" : "2-3");
    for (int id = 4; id < 8; ++id) plant_cpu(id, std::to_string(id));
  };
  const auto expect_hybrid = [&](const char* what) {
    EXPECT_EQ(order(first(8)), (Ids{0, 2, 4, 5, 6, 7, 1, 3})) << what;
    const CpuTopology t = topology(first(8));
    ASSERT_EQ(t.kinds.size(), 2u) << what;
    EXPECT_EQ(t.kinds[0].cores, 2) << what;
    EXPECT_EQ(t.kinds[0].cpus, 4) << what;
    EXPECT_EQ(t.kinds[1].cores, 4) << what;
    EXPECT_EQ(choose_cpus(t, 6, {}, kAlone), (Ids{0, 2, 4, 5, 6, 7})) << what;
  };
  cores();
  plant("/sys/devices/cpu_core/cpus", "0-3");
  plant("/sys/devices/cpu_atom/cpus", "4-7");
  expect_hybrid("cpu_atom");
  fs::remove_all(root_ + "/sys");
  cores();
  for (int id = 0; id < 8; ++id) plant_of_cpu(id, "cpu_capacity", id < 2 ? 1024 : id < 4 ? 980 : 600);
  expect_hybrid("cpu_capacity");
  fs::remove_all(root_ + "/sys");
  cores();  // core 0 is favoured: 5.8 GHz beside 5.5, one kind
  for (int id = 0; id < 8; ++id) {
    plant_of_cpu(id, "cpufreq/cpuinfo_max_freq", id < 2 ? 5'800'000 : id < 4 ? 5'500'000 : 4'300'000);
    plant_of_cpu(id, "cpu_capacity", 1024);
  }
  expect_hybrid("cpuinfo_max_freq");
  EXPECT_EQ(topology(first(8)).kinds[1].max_hz, 4.3e9);
}

// Little cores have the low numbers, as on Arm.
TEST_F(Topology, FastCoresFirstWhateverTheirNumber) {
  for (int id = 0; id < 8; ++id) {
    plant_cpu(id, std::to_string(id));
    plant_of_cpu(id, "cpu_capacity", id < 4 ? 250 : id < 7 ? 760 : 1024);
  }
  EXPECT_EQ(order(first(8)), (Ids{7, 4, 5, 6, 0, 1, 2, 3}));
  EXPECT_EQ(topology(first(8)).kinds.size(), 3u);
}

// Even CPUs in one socket, odd ones in the other.
TEST_F(Topology, OneNodeAfterTheOther) {
  for (int id = 0; id < 8; ++id) plant_cpu(id, std::to_string(id % 4) + "," + std::to_string(id % 4 + 4), id % 2);
  plant("/sys/devices/system/node/node0/cpulist", "0,2,4,6");
  plant("/sys/devices/system/node/node1/cpulist", "1,3,5,7");
  plant("/sys/devices/system/node/possible", "0-1");
  EXPECT_EQ(order(first(8)), (Ids{0, 2, 1, 3, 4, 6, 5, 7}));
  const CpuTopology t = topology(first(8));
  EXPECT_EQ(t.sockets, 2);
  EXPECT_EQ(t.numa_nodes, 2);
  EXPECT_EQ(t.cores.size(), 4u);
  EXPECT_EQ(topology({0, 2}).numa_nodes, 1);  // of what this process may use
}

// No cpuset, a quota: the mask has all CPUs, the quota says how many threads.
TEST_F(Topology, AContainersQuota) {
  for (int id = 0; id < 8; ++id)
    plant_cpu(id, id % 2 ? std::to_string(id - 1) + "-" + std::to_string(id)
                         : std::to_string(id) + "-" + std::to_string(id + 1));
  EXPECT_EQ(threads_within_quota(8, root_), 8);  // no cgroups at all
  plant("/proc/self/cgroup", "0::/pod/box");
  plant("/sys/fs/cgroup/pod/box/cpu.max", "max 100000");
  EXPECT_EQ(threads_within_quota(8, root_), 8);
  plant("/sys/fs/cgroup/pod/cpu.max", "350000 100000");  // of a group above: three whole CPUs
  EXPECT_EQ(threads_within_quota(8, root_), 3);
  EXPECT_EQ(choose_cpus(topology(first(8)), threads_within_quota(8, root_), {}, kAlone), (Ids{0, 2, 4}));
  plant("/sys/fs/cgroup/pod/box/cpu.max", "50000 100000");
  EXPECT_EQ(threads_within_quota(8, root_), 1);
  plant("/proc/self/cgroup", "4:memory:/box\n3:cpu,cpuacct:/box");
  plant("/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "200000");
  plant("/sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000");
  EXPECT_EQ(threads_within_quota(8, root_), 2);
  plant("/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "-1");
  EXPECT_EQ(threads_within_quota(8, root_), 8);
}

// Runs side by side: each claims what it sits on.
TEST_F(Topology, RunsSideBySideTakeOtherCores) {
  for (int id = 0; id < 8; ++id) plant_cpu(id, std::to_string(id / 2 * 2) + "-" + std::to_string(id / 2 * 2 + 1));
  const CpuTopology t = topology(first(8));
  std::set<int> held;
  const Claims claims = {[&](int cpu, int place) { return place == 0 && held.insert(cpu).second; },
                         [&](int cpu) { held.erase(cpu); }};
  EXPECT_EQ(choose_cpus(t, 1, {}, claims), (Ids{0}));
  EXPECT_EQ(held, (std::set<int>{0}));
  EXPECT_EQ(choose_cpus(t, 2, {}, claims), (Ids{2, 4}));
  EXPECT_EQ(choose_cpus(t, 2, {}, claims), (Ids{6, 7}));  // one core is left: both of its CPUs
  EXPECT_EQ(choose_cpus(t, 1, {}, claims), (Ids{1}));     // no whole core is left
  EXPECT_EQ(choose_cpus(t, 3, {}, claims), (Ids{3, 5, 0}));
  EXPECT_EQ(held.size(), 8u);
  EXPECT_EQ(choose_cpus(t, 9, {}, claims).size(), 8u);
  EXPECT_EQ(choose_cpus(t, 2, {1, 4}, kAlone), (Ids{2, 6}));  // core 0 is busy through its second CPU
}

// More runs than CPUs: the CPU with the fewest is next, whoever ends in between.
TEST_F(Topology, RunsThatHaveToShareSpread) {
  for (int id = 0; id < 3; ++id) plant_cpu(id, std::to_string(id));
  const CpuTopology t = topology(first(3));
  std::set<std::pair<int, int>> held;
  const Claims claims = {[&](int cpu, int place) { return held.emplace(cpu, place).second; },
                         [&](int cpu) {
                           held.erase({cpu, 0});
                         }};
  Ids one_each;
  for (int run = 0; run < 7; ++run) one_each.push_back(choose_cpus(t, 1, {}, claims).at(0));
  EXPECT_EQ(one_each, (Ids{0, 1, 2, 0, 1, 2, 0}));
  held.erase({1, 0});  // two of three ended
  held.erase({2, 1});
  EXPECT_EQ(choose_cpus(t, 2, {}, claims), (Ids{1, 2}));
  EXPECT_EQ(choose_cpus(t, 3, {}, claims), (Ids{1, 2, 0}));
  EXPECT_EQ(held.size(), 10u);                                       // 4 + 3 + 3
  EXPECT_EQ(choose_cpus(t, 1, {1}, claims), (Ids{2}));               // of those with three the one that is not busy
  const Claims none = {[](int, int) { return false; }, [](int) {}};  // sockets are not to be had
  EXPECT_EQ(choose_cpus(t, 2, {0}, none), (Ids{1, 2}));
}

TEST(TopologyText, BusyCpus) {
  // In 10 ticks: CPU 0 worked 6 and waited for a disk 4, CPU 1 worked 5, CPU 10 was taken by the host for 9.
  const std::string before =
      "cpu  9 9 9 9\ncpu0 100 0 50 1000 0 0 0 0 0 0\ncpu1 5 0 0 5 0 0 0 0\ncpu10 1 1 1 1 1 1 1 1\n";
  const std::string after =
      "cpu  9 9 9 9\ncpu0 104 1 51 1000 4 0 0 0 0 0\ncpu1 10 0 0 10 0 0 0 0\ncpu10 1 1 1 2 1 1 1 10\n";
  EXPECT_EQ(busy_cpus(before, after), (std::set<int>{0, 10}));
  EXPECT_TRUE(busy_cpus("", after).empty());
  EXPECT_TRUE(busy_cpus("cpu0 x", "cpux 1 2\ncpu\ncpu0").empty());
}

TEST(TopologyText, CpuLists) {
  EXPECT_EQ(parse_cpu_list("0-2,8\n"), (Ids{0, 1, 2, 8}));
  EXPECT_EQ(parse_cpu_list("3"), (Ids{3}));
  EXPECT_EQ(parse_cpu_list("2,0-1,1"), (Ids{0, 1, 2}));
  EXPECT_EQ(parse_cpu_list("0-99999999999")->size(), 65536u);
  for (const char* text : {"", "\n", "-1", "3-", "3-1", "1,,2", "1,", "a", "0-3:1/2", "1 2", "99999999999999999999999"})
    EXPECT_FALSE(parse_cpu_list(text).has_value()) << text;
}

// Whatever stands there: every CPU appears once, and nothing is claimed to be known that is not.
TEST_F(Topology, HostileTrees) {
  const Ids allowed = first(4);
  const auto expect_all = [&](const std::string& what) {
    const CpuTopology t = topology(allowed);
    Ids ids;
    for (const Cpu& cpu : t.cpus) ids.push_back(cpu.id);
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(ids, allowed) << what;
    EXPECT_EQ(choose_cpus(t, 4, {}, kAlone).size(), 4u) << what;
    EXPECT_GE(threads_within_quota(4, root_), 1) << what;
    EXPECT_LE(threads_within_quota(4, root_), 4) << what;
    return t;
  };
  EXPECT_FALSE(expect_all("no tree").cores_known);
  EXPECT_FALSE(topology(allowed).sockets.has_value());
  const std::string texts[] = {"",
                               "-5",
                               "nan",
                               "1e400",
                               "0-4294967295",
                               "9223372036854775808",
                               std::string(200'000, '9'),
                               std::string("\0\xff\x01", 3),
                               "3,2,1",
                               "7-9"};
  for (const std::string& text : texts) {
    for (const int id : allowed) {
      plant_cpu(id, text);
      const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(id);
      plant(folder + "/topology/physical_package_id", text);
      plant(folder + "/cpu_capacity", text);
      plant(folder + "/cpufreq/cpuinfo_max_freq", text);
    }
    for (const char* node : {"node0", "node1", "node-1", "node99999999999", "nodes", "node"})
      plant(std::string("/sys/devices/system/node/") + node + "/cpulist", text);
    plant("/sys/devices/cpu_atom/cpus", text);
    plant("/proc/self/cgroup", "0::/a/../../b\n" + text + "\n::\n:\n1:cpu");
    plant("/sys/fs/cgroup/a/cpu.max", text + " " + text);
    plant("/sys/fs/cgroup/cpu.max", text);
    // Of a core to which it does not belong itself, a CPU cannot be.
    EXPECT_EQ(expect_all(text.substr(0, 20)).cores_known, text.starts_with("0-")) << text.substr(0, 20);
  }
  fs::remove_all(root_ + "/sys");
  for (const int id : allowed) plant_cpu(id, "0-3");  // one core, and CPU 2 says otherwise
  plant_cpu(2, "2");
  EXPECT_EQ(expect_all("siblings that differ").cores.size(), 2u);
  fs::remove_all(root_ + "/sys");
  for (const int id : allowed)  // folders in the place of files
    fs::create_directories(root_ + "/sys/devices/system/cpu/cpu" + std::to_string(id) + "/topology/core_cpus_list");
  fs::create_directories(root_ + "/sys/devices/system");
  fs::create_symlink("node", root_ + "/sys/devices/system/node");
  EXPECT_FALSE(expect_all("folders and loops").cores_known);
}

TEST(TopologyHere, ThisMachine) {
  const CpuTopology t = read_topology(allowed_cpus());
  EXPECT_EQ(t.cpus.size(), allowed_cpus().size());
  EXPECT_LE(t.cores.size(), t.cpus.size());
}

}  // namespace
}  // namespace layercost
