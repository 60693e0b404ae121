// layercost doctor: what this build and this machine can do, what is missing, and what to do about it.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "harness/cli/commands.h"
#include "harness/cli/terminal.h"
#include "harness/measure/environment.h"
#include "harness/measure/gpu_monitor.h"
#include "harness/measure/roofs.h"
#include "harness/plan/counts.h"
#include "kernels/contract/registry.h"
#include "layercost_commit.h"

namespace layercost {
namespace {

OpCase dense_product() {
  return OpCase("linear")
      .set("m", 1)
      .set("n", 8)
      .set("k", 8)
      .set("x_type", DType::bf16)
      .set("w_type", DType::bf16)
      .set("y_type", DType::bf16);
}

int doctor(bool probe) {
  int problems = 0;
  const auto line = [](const char* mark, const std::string& what) {
    fmt::print("{}", hanging_line(fmt::format("  {:<5} ", mark), what));
  };
  const auto advise = [&](const std::string& what) {
    line("note", what);
    ++problems;
  };
  const DeviceInfo d = describe_cpu();
  const EnvironmentRecord e = describe_environment(d);
  fmt::print("{}\n", wrapped_lines(fmt::format("layercost {} ({}{}), {} build, {}", LAYERCOST_VERSION, LAYERCOST_COMMIT,
                                               LAYERCOST_DIRTY ? ", changed" : "", e.build_type, e.compiler)));
  line("ok", fmt::format("{}, {} threads, {} ({})", d.name, d.threads, cache_words(d), d.last_level_cache_source));
  line("ok", fmt::format("{:.1f} GB of memory, {:.1f} GB free; {}", static_cast<double>(d.memory_bytes) / 1e9,
                         static_cast<double>(d.available_bytes) / 1e9, e.operating_system));
  if (e.build_type != "release")
    advise("not a release build: its times mean nothing. Build with: cmake --workflow --preset cpu");
  if (!d.cpu.avx512_bf16) advise("no AVX-512 bf16 instructions: bf16 products run through f32, correctly and slower");
  if (e.libraries.empty())
    advise("built without oneDNN: products run on plain loops. Install libdnnl-dev and build again");
  if (e.huge_pages != "always" && e.huge_pages != "madvise")
    advise("huge pages are off: reading large weights costs more page walks");
  if (e.governor && *e.governor != "performance")
    advise("the CPU governor is '" + *e.governor +
           "': clocks may rise only while measuring. Try: cpupower frequency-set -g performance");
  if (e.load_average && *e.load_average > 0.5)
    advise(fmt::format("load average {:.1f}: something else is running, and results will say so", *e.load_average));
  if (d.available_bytes < (std::uint64_t{6} << 30))
    advise("less than 6 GB free: stacks will be too small to keep weights out of the cache");
  try {
    line("ok", fmt::format("{} models in configs", list_models(configs_dir()).size()));
  } catch (const BadInput& error) {
    advise(error.what());
  }
  std::optional<DeviceInfo> gpu;
  for (const DeviceListing& l : list_devices()) {
    if (l.info.target != Target::cuda) continue;
    if (!l.why_not.empty()) {
      line("-", l.info.id + ": " + l.why_not);
      continue;
    }
    const DeviceInfo& g = l.info;
    line("ok", fmt::format("{}: {}, compute capability {}.{}, {:.1f} GB, {:.1f} GB free; the driver supports CUDA {}",
                           g.id, g.name, g.cuda.major, g.cuda.minor, static_cast<double>(g.memory_bytes) / 1e9,
                           static_cast<double>(g.available_bytes) / 1e9, g.cuda.driver));
    const EnvironmentRecord ge = describe_environment(g);
    if (const auto it = ge.libraries.find("cuBLASLt"); it != ge.libraries.end()) line("ok", "cuBLASLt " + it->second);
    else
      advise(support(find_op("linear"), find_variant(find_op("linear"), "cublaslt"), dense_product(), g).why +
             ". Without it dense products are slower and pair ratios are withheld");
    if (const std::string why = GpuMonitor(g.cuda.uuid).why_not(); !why.empty())
      advise(why + ": clocks, power and temperature will be missing from results");
    if (ge.gpu->mig.value_or(false)) advise("the GPU is split (MIG): a part of it is measured");
    if (!gpu) gpu = g;
  }
  if (probe) {
    Runtime runtime(gpu.value_or(d));
    RoofProbe roofs(DType::bf16, runtime);
    const Roofs r = roofs.measure();
    fmt::print("\n{}",
               wrapped_lines(fmt::format(
                   "  measured limits of {}: reads {:.1f} GB/s, bf16 products {:.0f} GFLOP/s ({})", runtime.device().id,
                   r.read_bytes_per_s / 1e9, r.flops_per_s / 1e9, roofs.compute_variant())));
  }
  fmt::print("\n{}\n", problems == 0 ? "nothing stands in the way"
                                     : fmt::format("{} thing{} to know", problems, problems == 1 ? "" : "s"));
  return 0;
}

}  // namespace

void add_doctor(CLI::App& app, Action& action) {
  auto* c = app.add_subcommand("doctor", "what this build and this machine can do, and what is missing");
  auto no_probe = std::make_shared<bool>(false);
  c->add_flag("--no-probe", *no_probe, "do not measure the machine's limits");
  c->callback([no_probe, &action] { action = [no_probe] { return doctor(!*no_probe); }; });
}

}  // namespace layercost
