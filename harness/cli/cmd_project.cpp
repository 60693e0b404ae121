// layercost project: time and money of a model on hardware that is not here; published results held against that.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/cli/amounts.h"
#include "harness/cli/commands.h"
#include "harness/cli/listing.h"
#include "harness/cli/points.h"
#include "harness/cli/projecting.h"
#include "harness/cli/reading.h"
#include "harness/cli/terminal.h"
#include "harness/cost/published.h"
#include "harness/measure/op_records.h"
#include "harness/plan/published_steps.h"
#include "harness/report/text.h"
#include "harness/result/labels.h"

namespace layercost {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct Options {
  PointOptions points;
  ProjectionOptions projection;
  bool published = false, json = false;
};

std::string point_text(const ModelSpec& m, const Scenario& s) {
  const bool decode = s.phase == Phase::decode;
  return fmt::format("{}: {}, batch {}, {} tokens {}; {}{}\n", m.name, to_string(s.phase), s.batch, s.context,
                     decode ? "already cached" : "each", s.weights.name(),
                     m.experts ? fmt::format("; routing {}", s.routing.name()) : "");
}

OrderedJson point_json(const ModelSpec& m, const Scenario& s) {
  OrderedJson out = {{"model", m.name},
                     {"phase", to_string(s.phase)},
                     {"batch", s.batch},
                     {"context", s.context},
                     {"weights_format", s.weights.name()},
                     {"activation_type", to_string(s.activation_type)},
                     {"kv_type", to_string(s.kv_type)}};
  if (m.experts) out["routing"] = s.routing.name();
  return out;
}

int project_points(const Options& o) {
  const Points points = make_points(o.points, configs_dir());
  const auto target = projection_target(o.projection, configs_dir());
  if (!target) throw BadInput("--on: is missing; expected hardware, e.g. --on h200-sxm (layercost list hardware)");
  OrderedJson list = OrderedJson::array();
  for (const RunPoint& point : points.points) {
    const ModelSpec& m = points.models[point.model];
    const PointProjection p = project_point(*target, m, point.scenario);
    if (o.json) {
      OrderedJson one = point_json(m, point.scenario);
      one["on"] = projection_json(*target, p);
      list.push_back(std::move(one));
      continue;
    }
    if (&point != &points.points.front()) fmt::print("\n----\n\n");
    fmt::print("{}", wrapped_lines(point_text(m, point.scenario) + projection_text(*target, p, true)));
  }
  if (o.json) fmt::print("{}\n", OrderedJson{{"points", std::move(list)}}.dump(1));
  return 0;
}

// ---- Published results

struct HeldResult {
  const PublishedSource* source = nullptr;
  const PublishedResult* result = nullptr;
  PublishedFinding finding;
  std::vector<EfficiencySource> measured_in;
};

// Results of the architecture of some devices, and of no others; read once for each device.
class Measured {
 public:
  Measured(const std::vector<ResultFile>& files, const std::vector<std::string>& names,
           const std::vector<HardwareSpec>& known)
      : files_(files), names_(names), known_(known) {}
  // Null: there are none.
  const Efficiencies* of(const HardwareSpec& hardware) {
    const auto [at, is_new] = all_.try_emplace(hardware.id);
    if (is_new) at->second = read(hardware);
    return at->second ? &*at->second : nullptr;
  }

 private:
  std::optional<Efficiencies> read(const HardwareSpec& hardware) const {
    std::vector<ResultFile> some;
    std::vector<std::string> their_names;
    for (std::size_t f = 0; f < files_.size(); ++f)
      if (same_architecture(files_[f], hardware, known_)) some.push_back(files_[f]), their_names.push_back(names_[f]);
    if (some.empty()) return std::nullopt;
    return measured_efficiencies(some, their_names, hardware, known_);
  }
  const std::vector<ResultFile>& files_;
  const std::vector<std::string>& names_;
  const std::vector<HardwareSpec>& known_;
  std::map<std::string, std::optional<Efficiencies>> all_;  // by HardwareSpec::id
};

HeldResult hold(const PublishedSource& source, const PublishedResult& result, Measured& results) {
  HeldResult held{&source, &result, {}, {}};
  if (!result.why_not.empty()) return held;
  const HardwareSpec hardware = find_hardware(result.hardware, configs_dir());
  const Efficiencies* measured = results.of(hardware);
  const PublishedSteps steps = published_steps(result, configs_dir());
  std::vector<TimedStep> timed;
  for (const PublishedSteps::Step& step : steps.steps)
    timed.push_back({project(step_work(steps.model, step.scenario), hardware, 1, measured), step.times});
  if (measured != nullptr) held.measured_in = measured->sources;
  held.finding = hold_against(result, timed, steps.tokens_of_sequence);
  return held;
}

std::string value_text(const std::optional<Held>& held) { return held ? digits(held->value, 4) : ""; }
std::string ratio_text(const std::optional<Held>& held) { return held ? fmt::format("{:.2f}", held->ratio) : ""; }

// Each once.
std::vector<EfficiencySource> efficiency_sources(const std::vector<HeldResult>& all) {
  std::vector<EfficiencySource> out;
  for (const HeldResult& held : all)
    for (const EfficiencySource& source : held.measured_in)
      if (std::none_of(out.begin(), out.end(),
                       [&](const EfficiencySource& s) { return s.content_hash == source.content_hash; }))
        out.push_back(source);
  return out;
}

std::string published_head(const std::vector<HeldResult>& all, const std::vector<EfficiencySource>& sources) {
  std::string out =
      "PROJECTION: what was published, beside the same steps from the vendors' figures (possible, NOMINAL)";
  if (sources.empty()) return out + "\npos/pub: above 1 the projection is faster or cheaper\n";
  std::set<std::string_view> labels;
  for (const HeldResult& held : all)
    for (const Label label : held.finding.labels) labels.insert(text_of(label).shown);
  out += " and with measured efficiency (projected)\n" + efficiency_text(sources);
  if (!labels.empty()) say(out, "  labelled {}\n", fmt::join(labels, ", "));
  return out + "pos/pub, prj/pub: above 1 the projection is faster or cheaper\n";
}

std::vector<Column> published_columns(bool measured) {
  std::vector<Column> columns = {{.head = "result", .gap = 0, .align = Align::left, .shrinks = true},
                                 {.head = "published", .gap = 2},
                                 {.head = "possible", .gap = 2, .leaves = 2},
                                 {.head = "pos/pub", .gap = 2}};
  if (measured) {
    columns.push_back({.head = "projected", .gap = 2, .leaves = 1});
    columns.push_back({.head = "prj/pub", .gap = 2});
  }
  return columns;
}

std::string published_text(const std::vector<HeldResult>& all) {
  const std::vector<EfficiencySource> sources = efficiency_sources(all);
  std::string out = published_head(all, sources);
  const PublishedSource* source = nullptr;
  std::optional<Listing> listing;
  std::string not_held;
  const auto flush = [&] {
    if (listing) out += listing->text();
    out += not_held;
    listing.reset();
    not_held.clear();
  };
  for (const HeldResult& held : all) {
    if (held.source != source) {
      flush();
      source = held.source;
      say(out, "\n{}\n  {}, {}\n", source->title, source->source, source->date);
    }
    const PublishedResult& r = *held.result;
    if (!r.why_not.empty()) {
      say(not_held, "not expressed: {}: {}\n", r.what, r.why_not);
      continue;
    }
    if (!listing) listing.emplace(published_columns(!sources.empty()));
    const PublishedFinding& f = held.finding;
    std::vector<std::string> cells = {
        r.id, r.tokens_per_s ? digits(*r.tokens_per_s, 4) + " tokens/s" : digits(*r.usd_per_mtok, 4) + " USD/Mtok",
        value_text(f.possible), ratio_text(f.possible)};
    if (!sources.empty()) cells.insert(cells.end(), {value_text(f.projected), ratio_text(f.projected)});
    listing->add(std::move(cells));
  }
  flush();
  return out;
}

OrderedJson held_json(const Held& held) { return {{"value", held.value}, {"ratio", held.ratio}}; }

OrderedJson published_json(const HeldResult& held) {
  const PublishedResult& r = *held.result;
  const PublishedFinding& f = held.finding;
  OrderedJson out = {{"source_id", held.source->id},
                     {"title", held.source->title},
                     {"source", held.source->source},
                     {"date", held.source->date},
                     {"id", r.id},
                     {"what", r.what}};
  if (!r.why_not.empty()) {
    out["why_not"] = r.why_not;
    return out;
  }
  out.update({{"model", r.model},
              {"hardware", r.hardware},
              {"devices", r.devices},
              {"measures", r.measures},
              {"unit", r.tokens_per_s ? "tokens_per_s" : "usd_per_mtok"},
              {"published", r.tokens_per_s ? *r.tokens_per_s : *r.usd_per_mtok}});
  if (f.hard_bound) out["hard_bound"] = held_json(*f.hard_bound);
  if (f.possible) out["possible"] = held_json(*f.possible);
  if (f.projected) {
    out["with_measured_efficiency"] = held_json(*f.projected);
    for (const EfficiencySource& source : held.measured_in)
      out["with_measured_efficiency"]["measured_in"].push_back(source.file);
    out["with_measured_efficiency"]["labels"] = OrderedJson::array();
    for (const Label label : f.labels) out["with_measured_efficiency"]["labels"].push_back(to_string(label));
  }
  if (!f.missing.empty()) out["not_measured"] = f.missing;
  if (!r.note.empty()) out["note"] = r.note;
  return out;
}

int show_published(const Options& o) {
  const std::vector<PublishedSource> sources = list_published(configs_dir());
  const std::vector<ResultFile> files = read_results(o.projection.results);
  const std::vector<HardwareSpec> known = list_hardware(configs_dir());
  for (std::size_t f = 0; f < files.size(); ++f)
    if (std::none_of(sources.begin(), sources.end(), [&](const PublishedSource& source) {
          return std::any_of(source.results.begin(), source.results.end(), [&](const PublishedResult& r) {
            return r.why_not.empty() && same_architecture(files[f], find_hardware(r.hardware, configs_dir()), known);
          });
        }))
      throw BadInput(
          fmt::format("--efficiency-from: {}: was measured on '{}', of whose architecture no published "
                      "result is",
                      printable(o.projection.results[f]), printable(files[f].environment.device_name)));
  std::vector<HeldResult> all;
  Measured measured(files, o.projection.results, known);
  for (const PublishedSource& source : sources)
    for (const PublishedResult& result : source.results) all.push_back(hold(source, result, measured));
  if (!o.json) {
    fmt::print("{}", wrapped_lines(published_text(all)));
    return 0;
  }
  OrderedJson list = OrderedJson::array();
  for (const HeldResult& held : all) list.push_back(published_json(held));
  OrderedJson out = {{"projection", true}};
  if (const auto from = efficiency_sources(all); !from.empty()) out["efficiency_from"] = efficiency_json(from);
  out["published"] = std::move(list);
  fmt::print("{}\n", out.dump(1));
  return 0;
}

}  // namespace

void add_project(CLI::App& app, Action& action) {
  auto* c =
      app.add_subcommand("project", "time and money of a model on hardware that is not here, and how far off that is");
  auto o = std::make_shared<Options>();
  add_point_options(*c, o->points);
  add_projection_options(*c, o->projection);
  auto* published =
      c->add_flag("--published", o->published, "instead: published results held against projections of the same steps");
  // They have models, hardware and prices of their own.
  for (CLI::Option* option : c->get_options())
    if (option != published && option != c->get_help_ptr() && !option->check_lname("efficiency-from"))
      published->excludes(option);
  c->add_flag("--json", o->json, "for programs: exact numbers, one JSON object");
  c->callback([o, &action] { action = [o] { return o->published ? show_published(*o) : project_points(*o); }; });
}

}  // namespace layercost
