// SPDX-License-Identifier: Apache-2.0
#include "harness/result/identity.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/core/sha256.h"

namespace layercost {
namespace {

constexpr std::array kMayDiffer = {
    FreeFact{"environment.available_bytes", "what other programs leave free changes every second"},
    FreeFact{"environment.load_average", "the same; every round carries what its neighbours took"},
    FreeFact{"environment.last_level_cache_source", "how the size was found; the size itself is compared"},
    FreeFact{"environment.topology.thread_cpus", "a run takes the CPUs on which no other one sits"},
};

// Facts of two records, side by side; keeps the first that differs.
class Sides {
 public:
  explicit Sides(std::string place) : place_(std::move(place)) {}

  // "" is unknown.
  void text(std::string_view member, const std::string& a, const std::string& b) {
    if (!a.empty() && !b.empty()) always(member, a, b);
  }
  void always(std::string_view member, const std::string& a, const std::string& b) {
    if (a != b && !found_) found_ = Difference{place_ + std::string(member), a, b};
  }
  template <typename T>
  void number(std::string_view member, const T& a, const T& b) {
    always(member, fmt::format("{}", a), fmt::format("{}", b));
  }
  template <typename T>
  void known(std::string_view member, const std::optional<T>& a, const std::optional<T>& b) {
    if (a && b) number(member, *a, *b);
  }
  // `share`: of the larger, what counts as the same.
  void about(std::string_view member, double a, double b, double share) {
    if (std::abs(a - b) > share * std::max(a, b)) number(member, a, b);
  }
  std::optional<Difference> found() const { return found_; }

 private:
  std::string place_;
  std::optional<Difference> found_;
};

// As Sides, but keeps all that differ.
struct AllSides {
  std::vector<Difference> all;
  template <typename T>
  void value(const char* member, const T& a, const T& b) {
    if (a != b) all.push_back({member, fmt::format("{}", a), fmt::format("{}", b)});
  }
  template <typename T>
  void list(const char* member, const T& a, const T& b) {
    if (a != b) all.push_back({member, fmt::format("{}", fmt::join(a, ",")), fmt::format("{}", fmt::join(b, ","))});
  }
};

std::string listed(const std::map<std::string, std::string>& words) {
  std::vector<std::string> pairs;
  for (const auto& [name, value] : words) pairs.push_back(name + " " + value);
  return fmt::format("{}", fmt::join(pairs, ", "));
}

std::string kinds_of(const TopologyRecord& t) {
  std::vector<std::string> kinds;
  for (const CoreKindRecord& k : t.kinds)
    kinds.push_back(fmt::format("{} cores with {} CPUs{}{}", k.cores, k.cpus,
                                k.capacity ? fmt::format(" of capacity {}", *k.capacity) : "",
                                k.max_hz ? fmt::format(" at {} Hz", *k.max_hz) : ""));
  return fmt::format("{}", fmt::join(kinds, ", "));
}

void compare(Sides& sides, const TopologyRecord& a, const TopologyRecord& b) {
  sides.number("topology.cpus", a.cpus, b.cpus);
  sides.known("topology.sockets", a.sockets, b.sockets);
  sides.known("topology.numa_nodes", a.numa_nodes, b.numa_nodes);
  sides.known("topology.cores", a.cores, b.cores);
  sides.always("topology.kinds", kinds_of(a), kinds_of(b));
}

void compare(Sides& sides, const GpuRecord& a, const GpuRecord& b) {
  sides.text("gpu.uuid", a.uuid, b.uuid);
  sides.text("gpu.pci", a.pci, b.pci);
  sides.text("gpu.driver", a.driver, b.driver);
  sides.text("gpu.cuda_driver", a.cuda_driver, b.cuda_driver);
  sides.text("gpu.cuda_runtime", a.cuda_runtime, b.cuda_runtime);
  sides.text("gpu.host_cpu", a.host_cpu, b.host_cpu);
  sides.text("gpu.compute_capability", a.compute_capability, b.compute_capability);
  sides.number("gpu.multiprocessors", a.multiprocessors, b.multiprocessors);
  sides.known("gpu.error_correction", a.error_correction, b.error_correction);
  sides.known("gpu.persistence", a.persistence, b.persistence);
  sides.known("gpu.mig", a.mig, b.mig);
  sides.known("gpu.power_limit_w", a.power_limit_w, b.power_limit_w);
  sides.known("gpu.sm_clock_limit_hz", a.sm_clock_limit_hz, b.sm_clock_limit_hz);
}

}  // namespace

std::span<const FreeFact> may_differ() { return kMayDiffer; }

std::optional<Difference> machine_difference(const EnvironmentRecord& a, const EnvironmentRecord& b) {
  Sides sides("environment.");
  sides.text("device_id", a.device_id, b.device_id);
  sides.text("device_name", a.device_name, b.device_name);
  sides.text("target", a.target, b.target);
  sides.number("threads", a.threads, b.threads);
  sides.about("memory_bytes", a.memory_bytes, b.memory_bytes, 1e-3);
  sides.number("last_level_cache_bytes", a.last_level_cache_bytes, b.last_level_cache_bytes);
  sides.known("last_level_caches", a.last_level_caches, b.last_level_caches);
  sides.always("features", fmt::format("{}", fmt::join(a.features, ", ")),
               fmt::format("{}", fmt::join(b.features, ", ")));
  sides.text("kernel", a.kernel, b.kernel);
  sides.text("operating_system", a.operating_system, b.operating_system);
  sides.text("compiler", a.compiler, b.compiler);
  sides.text("build_type", a.build_type, b.build_type);
  sides.text("huge_pages", a.huge_pages, b.huge_pages);
  sides.known("governor", a.governor, b.governor);
  sides.known("threads_pinned", a.threads_pinned, b.threads_pinned);
  if (a.topology && b.topology) compare(sides, *a.topology, *b.topology);
  sides.always("libraries", listed(a.libraries), listed(b.libraries));
  if (a.gpu && b.gpu) compare(sides, *a.gpu, *b.gpu);
  return sides.found();
}

std::optional<Difference> build_difference(const ResultFile& a, const ResultFile& b) {
  Sides sides("");
  sides.always("program_version", a.program_version, b.program_version);
  sides.always("commit", a.commit, b.commit);
  sides.number("commit_dirty", a.commit_dirty, b.commit_dirty);
  return sides.found();
}

std::vector<Difference> policy_differences(const PolicyRecord& a, const PolicyRecord& b) {
  AllSides sides;
  sides.value("rounds", a.rounds, b.rounds);
  sides.value("cell_s", a.cell_s, b.cell_s);
  sides.value("min_samples", a.min_samples, b.min_samples);
  sides.value("max_samples", a.max_samples, b.max_samples);
  sides.value("section_min_s", a.section_min_s, b.section_min_s);
  sides.value("seed", a.seed, b.seed);
  sides.value("head", a.head, b.head);
  sides.list("depths", a.depths, b.depths);
  sides.list("pins", a.pins, b.pins);
  return sides.all;
}

std::vector<Difference> scenario_differences(const ScenarioRecord& a, const ScenarioRecord& b) {
  // Of the phases that there are new_tokens follows from the rest.
  const bool follows = new_tokens_of(a) == a.new_tokens && new_tokens_of(b) == b.new_tokens;
  AllSides sides;
  each_member([&](const char* name, const auto at) {
    if (follows && std::string_view(name) == "new_tokens") return;
    sides.value(name, a.*at, b.*at);
  });
  return sides.all;
}

std::optional<Difference> price_difference(const PriceRecord& a, const PriceRecord& b) {
  const auto mix = [](const PriceRecord& p) { return p.mix ? p.mix->name : std::string("none"); };
  Sides sides("price.");
  sides.always("id", a.id, b.id);
  sides.number("usd_per_h", a.usd_per_hour, b.usd_per_hour);
  sides.number("utilisation", a.utilisation.value_or(1), b.utilisation.value_or(1));
  sides.always("mix", mix(a), mix(b));
  return sides.found();
}

std::optional<Difference> model_difference(const ModelRecord& a, const ModelRecord& b) {
  const auto count = [](const std::optional<std::int64_t>& v) { return v ? fmt::format("{}", *v) : "none"; };
  Sides sides("");
  sides.always("id", a.id, b.id);
  sides.always("model_type", a.model_type, b.model_type);
  sides.number("hidden", a.hidden, b.hidden);
  sides.number("layers", a.layers, b.layers);
  sides.number("vocab", a.vocab, b.vocab);
  sides.always("experts", count(a.experts), count(b.experts));
  sides.always("top_k", count(a.top_k), count(b.top_k));
  sides.number("parameters_total", a.parameters_total, b.parameters_total);
  sides.number("parameters_active", a.parameters_active, b.parameters_active);
  sides.always("weights_from", a.weights_from, b.weights_from);
  sides.text("digest", a.digest, b.digest);
  return sides.found();
}

std::string run_id(const ResultFile& file) {
  std::string facts = fmt::format("{}\n{}\n{}\n{}\n", file.started_at, file.commit, file.environment.device_name,
                                  file.environment.device_id);
  for (const std::string& word : file.command) facts += word + "\n";
  return short_digest(facts);
}

}  // namespace layercost
