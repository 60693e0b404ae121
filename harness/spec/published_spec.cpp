// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/published_spec.h"

#include <fmt/format.h>

#include <set>

#include "harness/spec/record_fields.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 24;

PublishedResult read_result_row(const JsonNode& node) {
  PublishedResult r;
  r.id = get_filled(node, "id", 60);
  r.what = get_filled(node, "what", 300);
  if (node.find("why_not")) {
    node.refuse_other_keys(std::vector<std::string>{"id", "what", "why_not"});
    r.why_not = get_filled(node, "why_not", 300);
    return r;
  }
  r.measures = get_word(node, "measures", {"decode", "prefill", "request"});
  std::vector<std::string> known{"id",       "what",         "measures",       "model",
                                 "hardware", "devices",      "weights_format", "batch",
                                 "prompt",   "tokens_per_s", "usd_per_mtok",   "note"};
  if (r.measures == "request") known.insert(known.end(), {"output", "counts_prompt"});
  if (node.find("usd_per_mtok")) known.emplace_back("usd_per_hour");
  node.refuse_other_keys(known);
  r.model = get_filled(node, "model", 120);
  r.hardware = get_filled(node, "hardware", 120);
  r.devices = node.get_int("devices", 1, 4096);
  r.weights_format = node.find_string("weights_format", 32).value_or("");
  r.batch = node.get_int("batch", 1, 1 << 16);
  r.prompt = node.get_int("prompt", 1, kMostTokens);
  if (r.measures == "request") {
    r.output = node.get_int("output", 1, kMostTokens);
    r.counts_prompt = node.get_bool("counts_prompt");
  }
  r.tokens_per_s = node.find_number("tokens_per_s", 1e-3, 1e12);
  r.usd_per_mtok = node.find_number("usd_per_mtok", 1e-6, 1e6);
  if (r.tokens_per_s.has_value() == r.usd_per_mtok.has_value())
    node.fail("expected tokens_per_s or usd_per_mtok, and one of them");
  std::string text;
  if (r.usd_per_mtok) r.usd_per_hour = get_amount(node, "usd_per_hour", text);
  r.note = node.find_string("note", 400).value_or("");
  return r;
}

}  // namespace

PublishedSource read_published(const std::filesystem::path& file, Date on) {
  const JsonNode node = read_json(file);
  node.refuse_other_keys(std::vector<std::string>{"title", "source", "date", "results"});
  PublishedSource out;
  out.id = printable(file.stem().string());
  out.path = file.string();
  out.title = get_filled(node, "title", 300);
  out.source = get_filled(node, "source", 400);
  out.date = get_past_day_or_month(node, "date", on);
  std::set<std::string> ids;
  for (const JsonNode& one : node.at("results").as_list(1, 200)) {
    out.results.push_back(read_result_row(one));
    if (!ids.insert(out.results.back().id).second)
      one.fail("id", fmt::format("'{}' is the id of two results", out.results.back().id));
  }
  return out;
}

std::vector<PublishedSource> list_published(const std::filesystem::path& configs_dir, Date on) {
  std::vector<PublishedSource> all;
  for (const std::filesystem::path& file : record_files(configs_dir / "published"))
    all.push_back(read_published(file, on));
  return all;
}

}  // namespace layercost
