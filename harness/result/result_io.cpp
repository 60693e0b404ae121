// SPDX-License-Identifier: Apache-2.0
#include "harness/result/result_io.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cfloat>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <vector>

#include "harness/result/atomic_file.h"
#include "harness/result/canonical.h"
#include "harness/result/complete.h"
#include "harness/result/labels.h"
#include "harness/result/privacy.h"
#include "harness/result/rules.h"
#include "harness/result/sample_labels.h"
#include "harness/spec/json_reader.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::size_t kMaxChars = 4096, kMaxItems = 1'000'000;
// A list of 4 M numbers is 60 MB of text and 64 MB of tree; 4 M samples are more than any run has.
constexpr JsonLimits kLimits{kResultMaxBytes, 16, 4'000'000};
constexpr std::int64_t kMaxInt = std::int64_t{1} << 53;  // what every JSON reader keeps exactly

struct Numbers {
  double low, high;
};
constexpr Numbers kAny{-DBL_MAX, DBL_MAX}, kZeroUp{0, DBL_MAX}, kPositive{DBL_MIN, DBL_MAX}, kShare{0, 1};
struct Integers {
  std::int64_t low, high;
};
constexpr Integers kCount{0, kMaxInt}, kOneUp{1, kMaxInt};

// ---- The one list of fields, for both directions. A visitor is called as v(name, member[, range]); `unsure` marks a
// figure that may be NaN, `unless_empty` a list that has no key when it is empty. A new member of record.h is a new
// line here and in the schema.

template <typename V>
void fields(V& v, Roofs& r) {
  v("read_bytes_per_s", r.read_bytes_per_s, kZeroUp);
  v("flops_per_s", r.flops_per_s, kZeroUp);
  v.unless_empty("product_flops_per_s", r.product_flops_per_s, kPositive);
}
template <typename V>
void fields(V& v, Sample& s) {
  v("time_s", s.time_s, kPositive);
  v("section_s", s.section_s, kPositive);
  v("host_section_s", s.host_section_s, kPositive);
  v("passes", s.passes, kOneUp);
  v("roofs_before", s.roofs_before);
  v("roofs_after", s.roofs_after);
  v("distinct_experts", s.distinct_experts, kZeroUp);
}
template <typename V>
void fields(V& v, ConditionsRecord& c) {
  v("window_s", c.window_s, kZeroUp);
  v("readings", c.readings, kCount);
  v("sm_clock_min_hz", c.sm_clock_min_hz, kZeroUp);
  v("sm_clock_median_hz", c.sm_clock_median_hz, kZeroUp);
  v("sm_clock_max_hz", c.sm_clock_max_hz, kZeroUp);
  v("memory_clock_min_hz", c.memory_clock_min_hz, kZeroUp);
  v("memory_clock_median_hz", c.memory_clock_median_hz, kZeroUp);
  v("memory_clock_max_hz", c.memory_clock_max_hz, kZeroUp);
  v("power_limit_w", c.power_limit_w, kZeroUp);
  v("power_min_w", c.power_min_w, kZeroUp);
  v("power_median_w", c.power_median_w, kZeroUp);
  v("power_max_w", c.power_max_w, kZeroUp);
  v("temperature_start_c", c.temperature_start_c, kAny);
  v("temperature_end_c", c.temperature_end_c, kAny);
  v("clock_reasons_known", c.clock_reasons_known);
  v("clock_reasons", c.clock_reasons);
  v("power_held_back", c.power_held_back, kZeroUp);
  v("thermal_held_back", c.thermal_held_back, kZeroUp);
  v("energy_j", c.energy_j, kPositive);
  v("other_processes", c.other_processes, kCount);
}
template <typename V>
void fields(V& v, Round& r) {
  v("index", r.index, kCount);
  v("samples", r.samples);
  v("conditions", r.conditions);
  v("neighbour_cpus", r.neighbour_cpus, kZeroUp);
  v("layers", r.layers, kOneUp);
}
template <typename V>
void fields(V& v, TriedVariant& t) {
  v("variant", t.variant);
  v("time_s", t.time_s, kPositive);
}
template <typename V>
void fields(V& v, OpRecord& o) {
  v("component", o.component);
  v("case_text", o.case_text);
  v("variant", o.variant);
  v("provider", o.provider);
  v("chosen", o.chosen);
  v("chosen_by", o.chosen_by);
  v.unless_empty("tried", o.tried);
  v("flops", o.flops, kZeroUp);
  v.unless_empty("product_flops", o.product_flops, kPositive);
  v("bytes", o.bytes, kZeroUp);
  v("bytes_per_distinct_expert", o.bytes_per_distinct_expert, kZeroUp);
  v("time_s", o.time_s, kPositive);
}
template <typename V>
void fields(V& v, Verdict& d) {
  v("ok", d.ok);
  v("why", d.why);
  v.unsure("rel_l2", d.rel_l2);
  v.unsure("worst_row", d.worst_row);
  v.unsure("gain", d.gain);
  v("rel_l2_limit", d.rel_l2_limit, kZeroUp);
  v("worst_row_limit", d.worst_row_limit, kZeroUp);
  v("gain_limit", d.gain_limit, kZeroUp);
  v("rows_checked", d.rows_checked, kCount);
  v("rows", d.rows, kCount);
  v("experts_checked", d.experts_checked, kCount);
  v("checks", d.checks, kCount);
}
template <typename V>
void fields(V& v, RoutingRecord& r) {
  v("name", r.name);
  v("seed", r.seed);
  v("experts", r.experts, kOneUp);
  v("top_k", r.top_k, kOneUp);
  v("draws", r.draws, kCount);
  v("histogram", r.histogram, kCount);
  v("distinct_experts", r.distinct_experts, kZeroUp);
  v("imbalance", r.imbalance, kZeroUp);
  v("hash", r.hash);
}
template <typename V>
void fields(V& v, StackRecord& s) {
  v("layers", s.layers, kOneUp);
  v("reuse_distance_bytes", s.reuse_distance_bytes, kZeroUp);
  v("last_level_cache_bytes", s.last_level_cache_bytes, kZeroUp);
  v("weight_bytes", s.weight_bytes, kZeroUp);
  v("huge_page_fraction", s.huge_page_fraction, kZeroUp);
}
template <typename V>
void fields(V& v, PartRecord& p) {
  v("kind", p.kind);
  v("count", p.count, kCount);
  v("outcome", p.outcome);
  v("why", p.why);
  v("need_bytes", p.need_bytes);
  v("have_bytes", p.have_bytes);
  v("verdict", p.verdict);
  v("stack", p.stack);
  v("routing", p.routing);
  v("ops", p.ops);
  v("rounds", p.rounds);
  v("labels", p.labels);
}
template <typename V>
void fields(V& v, MemoryRecord& m) {
  v("weight_bytes", m.weight_bytes, kZeroUp);
  v("kv_bytes", m.kv_bytes, kZeroUp);
  v("kv_held_bytes", m.kv_held_bytes, kZeroUp);
  v("activation_bytes", m.activation_bytes, kZeroUp);
  v("device_bytes", m.device_bytes, kZeroUp);
  v("largest_batch", m.largest_batch, kOneUp);
}
// What every record of a scenario begins with.
template <typename V>
void step_fields(V& v, ScenarioRecord& s) {
  v("phase", s.phase);
  v("batch", s.batch, kOneUp);
  v("context", s.context, kCount);
}
// Of what belongs to a point: only where the other members leave open which point that is (leave_out_implied).
template <typename V>
void further_fields(V& v, ScenarioRecord& s) {
  v.unless_empty("activation_type", s.activation_type);
  v.unless_empty("kv_type", s.kv_type);
  v.unless_empty("device", s.device);
  v.unless_empty("routing", s.routing);
}
template <typename V>
void fields(V& v, PointRecord& p) {
  v("model", p.model);
  step_fields(v, p);
  v("tokens", p.tokens, kOneUp);
  v("weight_type", p.weight_type);
  v("activation_type", p.activation_type);
  v("kv_type", p.kv_type);
  v("device", p.device);
  v("routing", p.routing);
  v("memory", p.memory);
  v("parts", p.parts);
}
template <typename V>
void fields(V& v, DepthRecord& d) {
  v("model", d.model);
  v("kind", d.kind);
  step_fields(v, d);
  v.unless_empty("weight_type", d.weight_type);
  further_fields(v, d);
  v("depths", d.depths, kOneUp);
  v("time_s", d.time_s, kPositive);
}
template <typename V>
void fields(V& v, ModelRecord& m) {
  v("name", m.name);
  v("id", m.id);
  v("model_type", m.model_type);
  v("parameters_total", m.parameters_total, kCount);
  v("parameters_active", m.parameters_active, kCount);
  v("parameters_active_with_embedding", m.parameters_active_with_embedding, kCount);
  v("layers", m.layers, kCount);
  v("hidden", m.hidden, kCount);
  v("vocab", m.vocab, kCount);
  v("experts", m.experts, kOneUp);
  v("top_k", m.top_k, kOneUp);
  v.unless_empty("digest", m.digest);
  v.unless_empty("weights_from", m.weights_from);
}
template <typename V>
void fields(V& v, PairRecord& p) {
  v("dense", p.dense);
  v("moe", p.moe);
}
template <typename V>
void fields(V& v, PeerRound& r) {
  v("index", r.index, kCount);
  v("samples_s", r.samples_s, kPositive);
}
template <typename V>
void fields(V& v, PeerRecord& p) {
  v("implementation", p.implementation);
  v("version", p.version);
  v("detail", p.detail);
  v("model", p.model);
  step_fields(v, p);
  v("weight_type", p.weight_type);
  further_fields(v, p);
  v("kind", p.kind);
  v("threads", p.threads, Integers{1, 1 << 20});
  v("layers", p.layers, kOneUp);
  v("cold", p.cold);
  v("note", p.note);
  v("rounds", p.rounds);
}
template <typename V>
void fields(V& v, MixRecord& m) {
  v("name", m.name);
  v("input", m.input, kShare);
  v("cached_input", m.cached_input, kShare);
  v("output", m.output, kShare);
}
template <typename V>
void fields(V& v, PriceRecord& p) {
  v("id", p.id);
  v("label", p.label);
  v.decimal("usd_per_h", p.usd_per_hour);
  v("source", p.source);
  v("retrieved_at", p.retrieved_at);
  v("model", p.model);
  v("stale", p.stale);
  v.unless_empty("labels", p.labels);
  v.unless_empty("device", p.device);
  v("utilisation", p.utilisation, Numbers{1e-6, 1});
  v("mix", p.mix);
}
template <typename V>
void fields(V& v, GpuRecord& g) {
  v("driver", g.driver);
  v("cuda_driver", g.cuda_driver);
  v("cuda_runtime", g.cuda_runtime);
  v("uuid", g.uuid);
  v("pci", g.pci);
  v("host_cpu", g.host_cpu);
  v("compute_capability", g.compute_capability);
  v("multiprocessors", g.multiprocessors, kCount);
  v("error_correction", g.error_correction);
  v("persistence", g.persistence);
  v("mig", g.mig);
  v("power_limit_w", g.power_limit_w, kZeroUp);
  v("sm_clock_limit_hz", g.sm_clock_limit_hz, kZeroUp);
}
template <typename V>
void fields(V& v, CoreKindRecord& k) {
  v("cores", k.cores, kOneUp);
  v("cpus", k.cpus, kOneUp);
  v("capacity", k.capacity, kOneUp);
  v("max_hz", k.max_hz, kPositive);
}
template <typename V>
void fields(V& v, TopologyRecord& t) {
  v("cpus", t.cpus, kOneUp);
  v("sockets", t.sockets, kOneUp);
  v("numa_nodes", t.numa_nodes, kOneUp);
  v("cores", t.cores, kOneUp);
  v("kinds", t.kinds);
  v("thread_cpus", t.thread_cpus, kCount);
}
template <typename V>
void fields(V& v, EnvironmentRecord& e) {
  v("device_id", e.device_id);
  v("device_name", e.device_name);
  v("target", e.target);
  v("threads", e.threads, Integers{0, 1 << 20});
  v("memory_bytes", e.memory_bytes, kZeroUp);
  v("available_bytes", e.available_bytes, kZeroUp);
  v("last_level_cache_bytes", e.last_level_cache_bytes, kZeroUp);
  v("last_level_caches", e.last_level_caches, kOneUp);
  v("last_level_cache_source", e.last_level_cache_source);
  v("features", e.features);
  v("kernel", e.kernel);
  v("operating_system", e.operating_system);
  v("compiler", e.compiler);
  v("build_type", e.build_type);
  v("huge_pages", e.huge_pages);
  v("governor", e.governor);
  v("threads_pinned", e.threads_pinned);
  v("topology", e.topology);
  v("load_average", e.load_average, kZeroUp);
  v("libraries", e.libraries);
  v("gpu", e.gpu);
}
template <typename V>
void fields(V& v, NominalRecord& n) {
  v("hardware", n.hardware);
  v("weight_type", n.weight_type);
  v("flops_per_s", n.flops_per_s, kPositive);
  v("read_bytes_per_s", n.read_bytes_per_s, kPositive);
  v("flops_source", n.flops_source);
  v("flops_date", n.flops_date);
  v("read_source", n.read_source);
  v("read_date", n.read_date);
}
template <typename V>
void fields(V& v, Warning& w) {
  v("code", w.code);
  v("text", w.text);
}
template <typename V>
void fields(V& v, PolicyRecord& p) {
  v("rounds", p.rounds, kOneUp);
  v("cell_s", p.cell_s, kPositive);
  v("min_samples", p.min_samples, kOneUp);
  v("max_samples", p.max_samples, kOneUp);
  v("section_min_s", p.section_min_s, kZeroUp);
  v("seed", p.seed);
  v("head", p.head);
  v("depths", p.depths, kOneUp);
  v("pins", p.pins);
}
template <typename V>
void fields(V& v, ResultFile& f) {
  v("schema_version", f.schema_version);
  v("program_version", f.program_version);
  v("commit", f.commit);
  v("commit_dirty", f.commit_dirty);
  v("command", f.command);
  v("started_at", f.started_at);
  v("finished_at", f.finished_at);
  v("complete", f.complete);
  v("suite", f.suite);
  v("policy", f.policy);
  v("environment", f.environment);
  v("nominal", f.nominal);
  v("price", f.price);
  v("models", f.models);
  v("pairs", f.pairs);
  v("points", f.points);
  v("depths", f.depths);
  v.unless_empty("peers", f.peers);
  v("warnings", f.warnings);
}

std::string shortest(double value) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, end.ptr);
}

std::string safe(const std::string& text) { return printable(text, kMaxChars - 3); }  // 3: "..." where it was cut

// ---- Out

class Writer {
 public:
  explicit Writer(std::string place) : place_(std::move(place)) {}
  OrderedJson take() { return std::move(object_); }

  void operator()(const char* name, const std::string& value) { object_[name] = safe(value); }
  void operator()(const char* name, bool value) { object_[name] = value; }
  void operator()(const char* name, Outcome value) { object_[name] = std::string(to_string(value)); }
  void operator()(const char* name, std::uint64_t value) { object_[name] = fmt::format("{}", value); }
  void operator()(const char* name, double value, Numbers range) { object_[name] = checked(name, value, range); }
  void operator()(const char* name, std::int64_t value, Integers range) { object_[name] = checked(name, value, range); }
  void operator()(const char* name, int value, Integers range) {
    object_[name] = checked(name, std::int64_t{value}, range);
  }
  void operator()(const char* name, const std::optional<std::uint64_t>& value) {
    if (value && *value > static_cast<std::uint64_t>(kMaxInt)) fail(name, fmt::format("{} is beyond 2^53", *value));
    if (value) object_[name] = *value;
  }
  void operator()(const char* name, const std::optional<std::string>& value) {
    if (value) (*this)(name, *value);
  }
  void operator()(const char* name, const std::optional<bool>& value) {
    if (value) (*this)(name, *value);
  }
  template <typename T, typename Range>
  void operator()(const char* name, const std::optional<T>& value, Range range) {
    if (value) (*this)(name, *value, range);
  }
  template <typename T, typename Range>
  void operator()(const char* name, const std::vector<T>& values, Range range) {
    OrderedJson list = OrderedJson::array();
    for (const T value : values) list.push_back(checked(name, value, range));
    object_[name] = std::move(list);
  }
  void operator()(const char* name, const std::vector<std::string>& values) {
    OrderedJson list = OrderedJson::array();
    for (const std::string& value : values) list.push_back(safe(value));
    object_[name] = std::move(list);
  }
  void operator()(const char* name, const std::vector<Label>& values) { put_words(name, values); }
  void operator()(const char* name, const std::vector<PriceLabel>& values) { put_words(name, values); }
  void operator()(const char* name, const std::map<std::string, std::string>& values) {
    OrderedJson map = OrderedJson::object();
    for (const auto& [key, value] : values) map[printable(key)] = safe(value);
    object_[name] = std::move(map);
  }
  template <typename T>
  void operator()(const char* name, const T& record) {
    object_[name] = write(record, inside(name));
  }
  template <typename T>
  void operator()(const char* name, const std::optional<T>& record) {
    if (record) object_[name] = write(*record, inside(name));
  }
  template <typename T>
  void operator()(const char* name, const std::vector<T>& records) {
    OrderedJson list = OrderedJson::array();
    for (const T& record : records) list.push_back(write(record, fmt::format("{}[{}]", inside(name), list.size())));
    object_[name] = std::move(list);
  }
  template <typename T>
  void unless_empty(const char* name, const std::vector<T>& records) {
    if (!records.empty()) (*this)(name, records);
  }
  void unless_empty(const char* name, const std::string& text) {
    if (!text.empty()) (*this)(name, text);
  }
  void unless_empty(const char* name, const std::map<std::string, double>& values, Numbers range) {
    OrderedJson map = OrderedJson::object();
    for (const auto& [key, value] : values) map[printable(key)] = checked(name, value, range);
    if (!values.empty()) object_[name] = std::move(map);
  }
  void unsure(const char* name, double value) {
    if (std::isfinite(value)) object_[name] = value;
  }
  void decimal(const char* name, double value) { object_[name] = shortest(checked(name, value, kPositive)); }

  template <typename T>
  static OrderedJson write(const T& record, const std::string& place) {
    Writer writer(place);
    fields(writer, const_cast<T&>(record));  // the list of fields serves both directions; this one only reads
    return writer.take();
  }

 private:
  std::string inside(const char* name) const { return place_.empty() ? name : place_ + "." + name; }
  [[noreturn]] void fail(const char* name, const std::string& message) const {
    throw std::logic_error(fmt::format("result: {}: {}; nothing was written", inside(name), message));
  }
  double checked(const char* name, double value, Numbers range) const {
    if (!std::isfinite(value)) fail(name, "is NaN or infinite");
    if (value < range.low || value > range.high) fail(name, fmt::format("{} is out of range", value));
    return value;
  }
  std::int64_t checked(const char* name, std::int64_t value, Integers range) const {
    if (value < range.low || value > range.high)
      fail(name, fmt::format("{} is outside {}..{}", value, range.low, range.high));
    return value;
  }

  template <typename T>
  void put_words(const char* name, const std::vector<T>& values) {
    OrderedJson list = OrderedJson::array();
    for (const T value : values) list.push_back(std::string(to_string(value)));
    object_[name] = std::move(list);
  }

  std::string place_;
  OrderedJson object_ = OrderedJson::object();
};

// ---- In

class Reader {
 public:
  explicit Reader(const JsonNode& node) : node_(node) {}
  void refuse_other_keys() const {
    if (found_ == node_.size()) return;
    const std::vector<std::string> known(known_.begin(), known_.end());
    for (const std::string& key : node_.keys())
      if (std::find(known.begin(), known.end(), key) == known.end())
        node_.fail(key, fmt::format("unknown key{}", did_you_mean(key, known)));
  }
  void allow(const char* name) {
    known_.push_back(name);
    found_ += node_.has(name);
  }

  void operator()(const char* name, std::string& value) { value = at(name).as_string(kMaxChars); }
  void operator()(const char* name, bool& value) { value = at(name).as_bool(); }
  void operator()(const char* name, Outcome& value) { value = word(at(name), outcome_texts()).outcome; }
  void operator()(const char* name, std::uint64_t& value) {
    const JsonNode node = at(name);
    const std::string text = node.as_string(20);
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || end.ec != std::errc() || end.ptr != text.data() + text.size()) {
      node.fail(fmt::format("expected an integer of at most 64 bits, as text, got {}", node.described()));
    }
  }
  void operator()(const char* name, double& value, Numbers range) { value = at(name).as_number(range.low, range.high); }
  void operator()(const char* name, std::int64_t& value, Integers range) {
    value = at(name).as_int(range.low, range.high);
  }
  void operator()(const char* name, int& value, Integers range) {
    value = static_cast<int>(at(name).as_int(range.low, range.high));
  }
  void operator()(const char* name, std::optional<std::uint64_t>& value) {
    if (const auto node = find(name)) value = static_cast<std::uint64_t>(node->as_int(0, kMaxInt));
  }
  void operator()(const char* name, std::optional<std::string>& value) {
    if (const auto node = find(name)) value = node->as_string(kMaxChars);
  }
  void operator()(const char* name, std::optional<bool>& value) {
    if (const auto node = find(name)) value = node->as_bool();
  }
  void operator()(const char* name, std::optional<double>& value, Numbers range) {
    if (const auto node = find(name)) value = node->as_number(range.low, range.high);
  }
  void operator()(const char* name, std::optional<std::int64_t>& value, Integers range) {
    if (const auto node = find(name)) value = node->as_int(range.low, range.high);
  }
  void operator()(const char* name, std::vector<std::int64_t>& values, Integers range) {
    for (const JsonNode& node : at(name).as_list(0, kMaxItems)) values.push_back(node.as_int(range.low, range.high));
  }
  void operator()(const char* name, std::vector<double>& values, Numbers range) {
    for (const JsonNode& node : at(name).as_list(0, kMaxItems)) values.push_back(node.as_number(range.low, range.high));
  }
  void operator()(const char* name, std::vector<std::string>& values) {
    for (const JsonNode& node : at(name).as_list(0, kMaxItems)) values.push_back(node.as_string(kMaxChars));
  }
  void operator()(const char* name, std::vector<Label>& values) {
    for (const JsonNode& node : at(name).as_list(0, label_texts().size()))
      values.push_back(word(node, label_texts()).label);
  }
  void operator()(const char* name, std::vector<PriceLabel>& values) {
    for (const JsonNode& node : at(name).as_list(0, price_label_texts().size()))
      values.push_back(word(node, price_label_texts()).label);
  }
  void operator()(const char* name, std::map<std::string, std::string>& values) {
    const JsonNode node = at(name);
    for (const std::string& key : keys_of(node)) values[key] = node.get_string(key, kMaxChars);
  }
  template <typename T>
  void operator()(const char* name, T& record) {
    record = read<T>(at(name));
  }
  template <typename T>
  void operator()(const char* name, std::optional<T>& record) {
    if (const auto node = find(name)) record = read<T>(*node);
  }
  template <typename T>
  void operator()(const char* name, std::vector<T>& records) {
    for (const JsonNode& node : at(name).as_list(0, kMaxItems)) records.push_back(read<T>(node));
  }
  template <typename T>
  void unless_empty(const char* name, std::vector<T>& records) {
    if (!find(name)) return;
    --found_;  // the next line counts it once more
    (*this)(name, records);
  }
  void unless_empty(const char* name, std::string& text) {
    if (const auto node = find(name)) text = node->as_string(kMaxChars);
  }
  void unless_empty(const char* name, std::map<std::string, double>& values, Numbers range) {
    if (const auto node = find(name))
      for (const std::string& key : keys_of(*node)) values[key] = node->at(key).as_number(range.low, range.high);
  }
  void unsure(const char* name, double& value) {
    const auto node = find(name);
    value = node ? node->as_number(kAny.low, kAny.high) : std::numeric_limits<double>::quiet_NaN();
  }
  void decimal(const char* name, double& value) {
    const JsonNode node = at(name);
    const std::string text = node.as_string(40);
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end.ec != std::errc() || end.ptr != text.data() + text.size() || !(value >= DBL_MIN && value <= DBL_MAX)) {
      node.fail(fmt::format("expected a positive decimal as text, such as \"2.5\", got {}", node.described()));
    }
  }

  template <typename T>
  static T read(const JsonNode& node) {
    T record;
    Reader reader(node);
    fields(reader, record);
    reader.refuse_other_keys();
    return record;
  }

 private:
  static std::vector<std::string> keys_of(const JsonNode& node) {
    std::vector<std::string> keys = node.keys();
    for (const std::string& key : keys)
      if (printable(key) != key) node.fail("expected keys of at most 80 characters without control characters");
    return keys;
  }
  JsonNode at(const char* name) {
    known_.push_back(name);
    ++found_;
    return node_.at(name);
  }
  std::optional<JsonNode> find(const char* name) {
    known_.push_back(name);
    std::optional<JsonNode> node = node_.find(name);
    found_ += node.has_value();
    if (!node && node_.has(name)) node_.fail(name, "null; what is missing has no key");
    return node;
  }
  template <typename Row>
  static const Row& word(const JsonNode& node, std::span<const Row> rows) {
    const std::string text = node.as_string(40);
    std::vector<std::string> names;
    for (const Row& row : rows) {
      if (row.name == text) return row;
      names.emplace_back(row.name);
    }
    node.fail(fmt::format("unknown word {}{}", node.described(), did_you_mean(text, names)));
  }

  const JsonNode& node_;
  std::vector<const char*> known_;
  std::size_t found_ = 0;  // how many of them are there
};

// ---- Versions, and what files leave out

using Version = std::array<int, 3>;
std::optional<Version> parse_version(std::string_view text) {
  Version numbers{};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto parsed = std::from_chars(at, end, numbers[i]);
    const bool ends_well = i + 1 == numbers.size() ? parsed.ptr == end : parsed.ptr != end && *parsed.ptr == '.';
    if (parsed.ec != std::errc() || parsed.ptr == at || numbers[i] < 0 || !ends_well) return std::nullopt;
    if (i + 1 < numbers.size()) at = parsed.ptr + 1;
  }
  return numbers;
}

// Other files that lie in results/, by keys that each of them has.
void refuse_other_kinds(const JsonNode& root) {
  const nlohmann::json& raw = root.raw();
  const bool of_peers = raw.is_array() && !raw.empty() && raw.front().is_object() && raw.front().contains("ours");
  const bool of_checks =
      raw.is_object() && !raw.contains("schema_version") && (raw.contains("checks") || raw.contains("ops"));
  if (of_peers || of_checks)
    throw BadInput(root.file(), "",
                   fmt::format("{}, and is no result file of layercost run",
                               of_peers ? "holds readings beside another program's" : "is of scripts/gpu-check"));
}

Version refuse_foreign_version(const JsonNode& node) {
  const std::string text = node.get_string("schema_version", 40);
  const std::optional<Version> version = parse_version(text), ours = parse_version(kSchemaVersion);
  if (!version)
    node.fail("schema_version",
              fmt::format("expected a version such as \"{}\", got \"{}\"", kSchemaVersion, printable(text)));
  if ((*version)[0] != (*ours)[0] || (*version)[1] > (*ours)[1]) {
    node.fail("schema_version",
              fmt::format("the file follows schema {}, this program reads {} and older 1.x; use a matching layercost",
                          printable(text), kSchemaVersion));
  }
  return *version;
}

// Of what belongs to a point: the members that files leave out, as the point has them that is meant. If several could
// be meant, those in which they agree.
void fill_implied(ScenarioRecord& s, const PointIndex& index) {
  const ScenarioRecord given = s;
  bool first = true;
  for (const PointRecord* at : index.matching(given)) {
    const ScenarioRecord& point = *at;
    if (std::exchange(first, false)) {
      s = point;
      continue;
    }
    const auto keep = [](auto& member, const auto& other, const auto& unknown) {
      if (member != other) member = unknown;
    };
    keep(s.weight_type, point.weight_type, given.weight_type);
    keep(s.activation_type, point.activation_type, given.activation_type);
    keep(s.kv_type, point.kv_type, given.kv_type);
    keep(s.device, point.device, given.device);
    keep(s.routing, point.routing, given.routing);
  }
}
void fill_implied(ResultFile& file) {
  for (PointRecord& point : file.points) point.new_tokens = new_tokens_of(point);
  const PointIndex index(file.points);
  for (PeerRecord& peer : file.peers) fill_implied(peer, index);
  for (DepthRecord& depth : file.depths) fill_implied(depth, index);
}

// The other way round: without the members that reading would fill in, so that a file says nothing twice.
template <typename Record>
void leave_out_implied(std::vector<Record>& records, const PointIndex& points, bool weight_type_is_told) {
  for (Record& record : records) {
    ScenarioRecord bare = record;
    if (!weight_type_is_told) bare.weight_type.clear();
    for (std::string* text : {&bare.activation_type, &bare.kv_type, &bare.device, &bare.routing}) text->clear();
    ScenarioRecord read = bare;
    fill_implied(read, points);
    if (read == record) static_cast<ScenarioRecord&>(record) = std::move(bare);
  }
}

// A price's labels as far as the file itself tells them, whatever it lists: files before 1.3 list none.
void add_labels_that_follow(PriceRecord& price, const ResultFile& file) {
  const auto add = [&](PriceLabel label, bool on) {
    if (on && std::find(price.labels.begin(), price.labels.end(), label) == price.labels.end())
      price.labels.push_back(label);
  };
  add(PriceLabel::stale, price.stale);
  add(PriceLabel::command_line, price.model == "command line");
  // A device goes by two names only where the vendor's figures are known.
  add(PriceLabel::other_device,
      !price.device.empty() && price.device != file.environment.device_name && !file.nominal.has_value());
  std::sort(price.labels.begin(), price.labels.end());
}

// nlohmann/json writes NaN as null without a word.
void refuse_not_finite(const nlohmann::json& value, const std::string& place) {
  if (value.is_number_float() && !std::isfinite(value.get<double>())) {
    throw std::logic_error(fmt::format("result: {}: is NaN or infinite; nothing was written", place));
  }
  if (value.is_object()) {
    for (const auto& [key, item] : value.items()) refuse_not_finite(item, place + "." + key);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) refuse_not_finite(value[i], fmt::format("{}[{}]", place, i));
  }
}

// One sample, one op, one row on a line, so that files can be read and compared line by line; larger things and lists
// of rows are broken up.
void print(std::string& out, const OrderedJson& value, std::size_t indent) {
  constexpr std::size_t kLine = 640;  // a sample with ten doubles of 17 digits and two more arithmetics has 500
  const bool container = value.is_structured() && !value.empty();
  const bool list_of_rows = value.is_array() && container && value.front().is_structured();
  std::string line = value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  if (!container || (indent > 0 && !list_of_rows && line.size() <= kLine)) {
    out += line;
    return;
  }
  const bool object = value.is_object();
  out += object ? "{" : "[";
  bool first = true;
  for (const auto& item : value.items()) {
    out += first ? "\n" : ",\n";
    first = false;
    out.append(indent + 1, ' ');
    if (object) out += OrderedJson(item.key()).dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + ": ";
    print(out, item.value(), indent + 1);
  }
  out += "\n" + std::string(indent, ' ') + (object ? "}" : "]");
}

}  // namespace

std::string result_to_text(const ResultFile& file, const nlohmann::json& summary) {
  if (const auto problem = first_problem(file)) {
    throw std::logic_error(fmt::format("result: {}: {}; nothing was written", problem->place, problem->message));
  }
  for (const PointRecord& point : file.points)
    if (!point.shard.empty() || (point.new_tokens != 0 && point.new_tokens != new_tokens_of(point)))
      throw std::logic_error(fmt::format("result: {}: files have no such points yet; nothing was written",
                                         printable(to_text(point), 300)));
  ResultFile lean = file;
  const PointIndex index(file.points);
  leave_out_implied(lean.peers, index, true);
  leave_out_implied(lean.depths, index, false);
  OrderedJson root = Writer::write(lean, "");
  if (!summary.is_null()) {
    refuse_not_finite(summary, "summary");
    root["summary"] = summary;
  }
  std::string text;
  print(text, root, 0);
  text += "\n";
  if (text.size() > kResultMaxBytes) {
    throw std::runtime_error(
        fmt::format("the result has {} bytes, more than the {} that can be read back", text.size(), kResultMaxBytes));
  }
  return text;
}

ResultFile result_from_text(std::string file_name, std::string_view text) {
  const JsonNode root = parse_json(std::move(file_name), text, kLimits);
  refuse_other_kinds(root);
  const Version version = refuse_foreign_version(root);
  ResultFile file;
  Reader reader(root);
  fields(reader, file);
  reader.allow("summary");
  reader.refuse_other_keys();
  if (root.has("summary") && !root.at("summary").is_object()) root.fail("summary", "expected an object");
  fill_implied(file);
  if (file.price) add_labels_that_follow(*file.price, file);
  if (version < Version{1, 4, 0} && !file.command.empty() && file.command.front() == "merge") name_layers(file);
  if (const auto problem = first_problem(file)) throw BadInput(root.file(), problem->place, problem->message);
  label_from_samples(file);
  if (file.environment.gpu) hash_identifiers(*file.environment.gpu);  // raw before 1.4
  if (file.policy) file.complete = file.complete && is_complete(file);
  file.content_hash = content_hash(root.raw());
  return file;
}

std::string broken_rule(const ResultFile& file) {
  const auto problem = first_problem(file);
  return problem ? fmt::format("{}: {}", problem->place, problem->message) : "";
}

void write_result(const std::filesystem::path& path, const ResultFile& file, const nlohmann::json& summary) {
  write_file_atomically(path, result_to_text(file, summary));
}

ResultFile read_result(const std::filesystem::path& path) {
  return result_from_text(path.string(), read_file_bytes(path, kResultMaxBytes));
}

}  // namespace layercost
