// What:    everything that a run writes down, as plain structs: what was planned, on what, what was seen. Raw facts
//          only; derived numbers (summaries, bounds, money) are computed from these by cost/ and may be stored beside
//          them.
// Units:   in every name: _s, _bytes, _flops, _bytes_per_s, _flops_per_s. Missing is std::nullopt, never 0.
// Rules:   every planned point appears exactly once, whatever became of it. Samples are never dropped. Measured,
//          modelled and published numbers never share a field.
// Outcome: measured        timed, and its output was checked first and on the last timed pass
//          wrong           the output failed its check; no time is kept
//          unsupported     no variant can do it here
//          out_of_memory   the plan needs more memory than this process may use
//          failed          something broke unforeseen
//          skipped         not reached (Ctrl-C, time budget) or not asked for
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/result/scenario.h"

namespace layercost {

// Of result files; result_io.h says what its parts mean.
inline constexpr std::string_view kSchemaVersion = "1.5.0";

enum class Outcome { measured, wrong, unsupported, out_of_memory, failed, skipped };

// Closed list of labels a part may carry besides its outcome (TRUST R1's finer states); texts are in result/labels.h.
enum class Label {
  preliminary,     // fewer than 10 rounds or 30 samples a round
  roof_moved,      // the machine's measured limit differed by more than 10 % between the probes around a sample
  cache_partial,   // memory did not allow a reuse distance of 2 x last-level cache
  drifting,        // the rounds' halves differ by more than the settle band
  overhead_bound,  // a sample could not be made 500 us long
  impossible,      // faster than the hard bound by more than 2 %: something is wrong with the measurement
  best_load_case,  // balanced routing alone
  shared,          // other processes used more than a tenth of a CPU, or the same GPU, while measuring
  power_capped,    // the GPU was held back by its power limit for more than 1 % of the time
  thermal,         // the GPU was held back by its temperature, or by a slowdown that its board asked for
  queue_gap,       // the host's clock saw a section more than 5 % longer than the device's own
};

// The machine's limits as measured by the fixed probes (result/roofline.h says how they are used).
struct Roofs {
  double read_bytes_per_s = 0;
  double flops_per_s = 0;  // in the arithmetic of the point: its activations' type
  // By the names of other arithmetics that the part's ops use (OpRecord::product_flops).
  std::map<std::string, double> product_flops_per_s = {};
};

struct Sample {
  double time_s = 0;     // of one layer: section / (passes x layers)
  double section_s = 0;  // the timed section itself, by the device's clock
  std::int64_t passes = 0;
  Roofs roofs_before, roofs_after;
  std::optional<double> distinct_experts;     // mean per layer over the passes of this sample
  std::optional<double> host_section_s = {};  // the section by the host's clock, where the device has its own (GPU)
};

// What a GPU worked under while one part was sampled in one round; absent is what the driver does not tell.
struct ConditionsRecord {
  double window_s = 0;        // from the first to the last reading
  std::int64_t readings = 0;  // of clocks, power and temperature, 20 ms apart
  std::optional<double> sm_clock_min_hz, sm_clock_median_hz, sm_clock_max_hz;
  std::optional<double> memory_clock_min_hz, memory_clock_median_hz, memory_clock_max_hz;
  std::optional<double> power_limit_w, power_min_w, power_median_w, power_max_w;
  std::optional<double> temperature_start_c, temperature_end_c;
  bool clock_reasons_known = false;                          // else the list says nothing
  std::vector<std::string> clock_reasons;                    // why clocks were lowered, in any of the readings
  std::optional<double> power_held_back, thermal_held_back;  // share of the window, by the driver's counters
  std::optional<double> energy_j;  // of the board over the window, idle moments between samples included
  std::optional<std::int64_t> other_processes;
};

struct Round {
  std::int64_t index = 0;  // fresh allocation, fresh weights, fresh order
  std::vector<Sample> samples;
  std::optional<ConditionsRecord> conditions = {};  // GPU only
  std::optional<double> neighbour_cpus = {};        // that other programs kept busy meanwhile (CPU)
  std::optional<std::int64_t> layers = {};          // of the stack, where they are not those of PartRecord::stack
};

// A candidate that was measured when the variant was chosen.
struct TriedVariant {
  std::string variant;
  double time_s = 0;  // median of one run on cold data, by the device's clock
};

struct OpRecord {
  std::string component;  // "attention norm", "qkv", "rope", "attention", "o", "mlp norm", "router", "experts", ...
  std::string case_text;
  std::string variant;
  std::string provider;
  std::string chosen;                         // "" if the variant had no choice
  std::optional<std::string> chosen_by = {};  // "order" (the first that fits), "measured", "pinned"; absent: not told
  std::vector<TriedVariant> tried = {};       // of "measured"
  double flops = 0;
  // Among flops: products in another arithmetic than the point's, "bf16 x q8_0" (contract/op.h). Files before 1.5 have
  // none, and hold all of an op against the point's.
  std::map<std::string, double> product_flops = {};
  double bytes = 0;  // compulsory: weights and cache; the first and last op also carry the layer's input and output
  double bytes_per_distinct_expert = 0;  // comes on top, times the sample's distinct experts
  std::optional<double> time_s;          // median of the instrumented pass; explains, is never the headline
};

struct Verdict {
  bool ok = false;
  std::string why;                             // when not ok: what was expected and seen
  double rel_l2 = 0, worst_row = 0, gain = 0;  // of what the layer adds; the largest seen over layers and checks
  double rel_l2_limit = 0, worst_row_limit = 0, gain_limit = 0;
  std::int64_t rows_checked = 0, rows = 0;
  std::optional<std::int64_t> experts_checked;
  std::int64_t checks = 0;  // before timing, and on the last timed pass
};

struct RoutingRecord {
  std::string name;  // "router", "balanced", "uniform", "zipf:1"
  std::uint64_t seed = 0;
  std::int64_t experts = 0, top_k = 0;
  std::int64_t draws = 0;               // layer passes that the histogram sums over
  std::vector<std::int64_t> histogram;  // tokens per expert
  double distinct_experts = 0;          // mean per layer pass
  double imbalance = 0;                 // mean over draws of max load / (tokens * top_k / experts)
  std::string hash;                     // of all ids drawn, in hexadecimal
};

struct StackRecord {
  std::int64_t layers = 0;  // R
  double reuse_distance_bytes = 0;
  double last_level_cache_bytes = 0;
  double weight_bytes = 0;                        // held
  std::optional<double> huge_page_fraction = {};  // of the process's own memory, with the stack in place (CPU)
};

// One kind of layer, or the head, of one point.
struct PartRecord {
  std::string kind;        // "dense", "moe", "dense window=4096", ..., "head" (final norm and LM head)
  std::int64_t count = 0;  // how often it occurs in the model
  Outcome outcome = Outcome::skipped;
  std::string why;                                      // for everything but measured
  std::optional<std::uint64_t> need_bytes, have_bytes;  // out_of_memory
  std::optional<Verdict> verdict;
  std::optional<StackRecord> stack;
  std::optional<RoutingRecord> routing;
  std::vector<OpRecord> ops;
  std::vector<Round> rounds;
  std::vector<Label> labels;
};

struct MemoryRecord {  // of the whole model at this point, not of the stack
  double weight_bytes = 0;
  double kv_bytes = 0;  // that later steps can ask for: of a sliding layer its window
  double activation_bytes = 0;
  double device_bytes = 0;                    // what this device offers
  std::optional<std::int64_t> largest_batch;  // absent: not even one sequence fits
  std::optional<double> kv_held_bytes = {};   // of an engine that keeps what windows have left, where that is more
  double required_bytes() const { return weight_bytes + kv_bytes + activation_bytes; }
  bool fits() const { return required_bytes() <= device_bytes; }
};

struct PointRecord : ScenarioRecord {
  std::int64_t tokens = 0;  // rows that one step processes: batch x new_tokens
  MemoryRecord memory;
  std::vector<PartRecord> parts;
};

// --depth: growing stacks of one kind, to see how far the time per layer is from constant (C10). Of the point with the
// same scenario.
struct DepthRecord : ScenarioRecord {
  std::string kind;
  std::vector<std::int64_t> depths;
  std::vector<double> time_s;  // of the whole stack, median
};

struct ModelRecord {
  std::string name, id, model_type;
  std::int64_t parameters_total = 0, parameters_active = 0;
  std::int64_t layers = 0, hidden = 0, vocab = 0;
  std::optional<std::int64_t> experts, top_k;
  std::optional<std::int64_t> parameters_active_with_embedding = {};  // as model cards count
  std::string digest = {};        // of all that its numbers follow from (plan/digest.h); "" in files before 1.4
  std::string weights_from = {};  // the checkpoint's name; "": synthetic
};

struct PairRecord {
  std::string dense, moe;
};

// What another program took for the same layers, measured in turns with ours: its round i and round i of the point's
// parts are of the same turn. Belongs to the point with the same scenario, and to that point's part of this kind.
struct PeerRound {
  std::int64_t index = 0;
  std::vector<double> samples_s;  // of one layer of `kind`, never of a whole model
};
struct PeerRecord : ScenarioRecord {
  std::string implementation;  // "pytorch", "llama.cpp"; never "layercost"
  std::string version;
  std::string detail;  // how it was set up: "transformers 5.23.0; sdpa, static cache"
  std::string kind;
  std::int64_t threads = 0;
  std::int64_t layers = 0;  // different ones that were run one after the other
  bool cold = false;        // whether the weights came from memory, by the rule that holds for our stacks
  std::string note;         // what a reader must know beside the number; without samples: why
  std::vector<PeerRound> rounds;
};

// Closed list of what makes a price doubtful on the day it was read; texts are in result/labels.h.
enum class PriceLabel { stale, expired, promotional, estimate, example, no_electricity, command_line, other_device,
                        price_superseded };

// Shares of all tokens, for one price of all of them; they add up to 1.
struct MixRecord {
  std::string name;  // as asked for: "3:1", "agentic"
  double input = 0, cached_input = 0, output = 0;
};

struct PriceRecord {                        // as read; money is computed by cost/
  std::string id, label;                    // label says whose assumption it is
  double usd_per_hour = 0;                  // "usd_per_h" in files
  std::string source, retrieved_at, model;  // model: "rented", "owned", "command line"
  bool stale = false;                       // as among the labels: what files before 1.3 have of them
  std::vector<PriceLabel> labels = {};
  std::string device = {};                 // what the price is of; "" whatever was measured
  std::optional<double> utilisation = {};  // share of paid hours that do this work; absent: 1, the floor
  std::optional<MixRecord> mix = {};
};

// What a report holds the cost against, with the labels of that day. Of the report, never of the run: not in files.
struct OwnedRecord {  // each measured device's share
  std::string id, label;
  double capex_usd = 0, opex_usd_per_year = 0, years = 0, rate = 0, availability = 1;
  double energy_usd_per_hour = 0;  // while it works
  std::vector<PriceLabel> labels;
};
struct ListPriceStep {  // USD per million tokens
  double input = 0, output = 0;
  std::optional<double> cached_input;
  std::optional<std::int64_t> up_to_tokens;  // of input
};
struct ListPriceRecord {  // what an API asks: a price, never a cost
  std::string id, label, model, provider, source, retrieved_at;
  std::vector<ListPriceStep> steps;  // from short inputs to long ones
  std::vector<PriceLabel> labels;
};
struct AgainstRecord {
  std::optional<OwnedRecord> owned;
  std::vector<ListPriceRecord> list_prices;
};

// A GPU's standing facts; absent is what the driver does not tell.
struct GpuRecord {
  std::string driver;                     // version; "" unknown
  std::string cuda_driver, cuda_runtime;  // CUDA versions that the driver supports and the program was built with
  std::string uuid, pci;                  // hashed (privacy.h)
  std::string host_cpu;
  std::string compute_capability;  // "9.0"
  std::int64_t multiprocessors = 0;
  std::optional<bool> error_correction, persistence, mig;
  std::optional<double> power_limit_w, sm_clock_limit_hz;
};

// The CPUs that this process may use; absent is what the system does not tell.
struct CoreKindRecord {
  std::int64_t cores = 0, cpus = 0;
  std::optional<std::int64_t> capacity;  // of its fastest core: the fastest of the machine have 1024
  std::optional<double> max_hz;
};
struct TopologyRecord {
  std::int64_t cpus = 0;
  std::optional<std::int64_t> sockets, numa_nodes, cores;
  std::vector<CoreKindRecord> kinds;           // of cores, fastest first
  std::vector<std::int64_t> thread_cpus = {};  // the CPU of thread 0, 1, ...; empty if we did not pin them
};

struct EnvironmentRecord {
  std::string device_id, device_name, target;
  int threads = 0;
  double memory_bytes = 0, available_bytes = 0;
  double last_level_cache_bytes = 0;  // of all caches of the last level (of one of them in files before 1.5)
  std::optional<std::int64_t> last_level_caches = {};  // how many they are
  std::string last_level_cache_source;
  std::vector<std::string> features;  // "avx512_bf16", ...
  std::string kernel, operating_system, compiler, build_type;
  std::string huge_pages;  // /sys/kernel/mm/transparent_hugepage/enabled, the chosen word
  std::optional<std::string> governor;
  std::optional<bool> threads_pinned = {};       // each to a CPU of its own
  std::optional<TopologyRecord> topology = {};   // of files before 1.4 absent
  std::optional<double> load_average;            // one minute, at the start
  std::map<std::string, std::string> libraries;  // "oneDNN" -> "2.6.3"
  std::optional<GpuRecord> gpu;                  // of a GPU
};

// What the vendor says of this device: published, never measured, never a roof.
struct NominalRecord {
  std::string hardware;     // id of configs/hardware
  std::string weight_type;  // of flops_per_s: the arithmetic, which is the activations'
  double flops_per_s = 0, read_bytes_per_s = 0;
  std::string flops_source, flops_date, read_source, read_date;
};

struct Warning {
  std::string code, text;
};

// What a run was asked to do at every point, so that one that goes on does the same.
struct PolicyRecord {
  std::int64_t rounds = 0;
  double cell_s = 0;  // of samples of one part of one point in one round
  std::int64_t min_samples = 0, max_samples = 0;
  double section_min_s = 0;
  std::uint64_t seed = 0;
  bool head = true;                       // final norm and LM head, too
  std::vector<std::int64_t> depths = {};  // of the stacks of --depth
  std::vector<std::string> pins = {};     // "linear=onednn_packed"; "from DIGEST" for those of an earlier result
};

struct ResultFile {
  std::string schema_version{kSchemaVersion};
  std::string program_version, commit;
  bool commit_dirty = false;
  std::vector<std::string> command;
  std::string started_at, finished_at;  // UTC, ISO 8601
  bool complete = false;                // every planned part of every point has come to its end (complete.h)
  std::string suite;                    // "" if the points came from the command line
  std::optional<PolicyRecord> policy;   // absent in files before 1.4 and in merged ones
  EnvironmentRecord environment;
  std::optional<NominalRecord> nominal;  // of a device whose name configs/hardware knows
  std::optional<PriceRecord> price;
  std::vector<ModelRecord> models;
  std::vector<PairRecord> pairs;
  std::vector<PointRecord> points;
  std::vector<DepthRecord> depths;
  std::vector<PeerRecord> peers;
  std::vector<Warning> warnings;
  std::optional<AgainstRecord> against = {};  // of a report
  std::string content_hash = {};  // of the text it was read from (canonical.h); "" of a run that goes on
};

}  // namespace layercost
