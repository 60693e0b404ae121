// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/suite_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "harness/spec/json_reader.h"
#include "harness/spec/price_spec.h"
#include "kernels/core/error.h"
#include "kernels/core/weight_format.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxBatch = 1 << 16;
constexpr std::int64_t kMaxTokens = std::int64_t{1} << 24;

// Sorted and without repeats: a point that is planned twice would have to be reported twice.
std::vector<std::int64_t> get_axis(const JsonNode& node, std::string_view key, std::int64_t low, std::int64_t high) {
  const JsonNode list = node.at(key);
  list.as_list(1, 64);
  std::vector<std::int64_t> values = list.as_int_list(low, high);
  for (std::size_t i = 1; i < values.size(); ++i) {
    if (values[i] <= values[i - 1])
      list.fail(fmt::format("expected rising numbers, got {} after {}", values[i], values[i - 1]));
  }
  return values;
}

void expect_format(const JsonNode& node, const std::string& name) {
  try {
    weight_format(name);
  } catch (const BadCase& e) {
    node.fail(e.what());
  }
}

std::string join(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return list;
}

}  // namespace

bool is_routing_word(const std::string& text) {
  if (text == "router" || text == "balanced" || text == "uniform") return true;
  if (!text.starts_with("zipf:")) return false;
  const auto s = parse_decimal(std::string_view(text).substr(5));
  return s && *s <= 10.0;
}

Suite read_suite(const fs::path& file) {
  const JsonNode node = read_json(file);
  node.refuse_other_keys(std::vector<std::string>{"title", "models", "ladder", "decode", "prefill", "dtype", "formats",
                                                  "routing", "pairs"});
  Suite suite;
  suite.name = printable(file.stem().string());
  suite.path = file.string();
  suite.title = node.get_string("title", 200);
  if (const auto ladder = node.find("ladder")) {
    ladder->refuse_other_keys(std::vector<std::string>{"model", "format"});
    for (const char* other : {"models", "formats", "pairs"})
      if (node.has(other)) node.fail(other, "a suite with a ladder has one model in the formats of its levers");
    suite.ladder = SuiteLadder{.model = ladder->get_string("model", 200), .format = ladder->get_string("format", 64)};
    expect_format(*ladder, suite.ladder->format);
  } else {
    const JsonNode models = node.at("models");
    models.as_list(1, 64);
    suite.models = models.as_string_list(200);
    if (std::set<std::string>(suite.models.begin(), suite.models.end()).size() != suite.models.size())
      models.fail("names a model twice");
  }
  if (const auto decode = node.find("decode")) {
    decode->refuse_other_keys(std::vector<std::string>{"batches", "contexts"});
    suite.decode = {.batches = get_axis(*decode, "batches", 1, kMaxBatch),
                    .contexts = get_axis(*decode, "contexts", 0, kMaxTokens)};
  }
  if (const auto prefill = node.find("prefill")) {
    prefill->refuse_other_keys(std::vector<std::string>{"tokens", "batch"});
    suite.prefill = {.tokens = get_axis(*prefill, "tokens", 1, kMaxTokens),
                     .batch = prefill->find_int("batch", 1, kMaxBatch).value_or(1)};
  }
  if (suite.decode.batches.empty() && suite.prefill.tokens.empty()) {
    node.fail("decode", "the key is missing, and so is prefill; a suite needs at least one of them");
  }
  suite.dtype = node.get_string("dtype", 16);
  if (suite.dtype != "bf16" && suite.dtype != "f32")
    node.fail("dtype", fmt::format("expected bf16 or f32, got \"{}\"", suite.dtype));
  if (const auto formats = node.find("formats")) {
    formats->as_list(1, 64);
    suite.formats = formats->as_string_list(64);
    for (const std::string& name : suite.formats) expect_format(*formats, name);
    if (std::set<std::string>(suite.formats.begin(), suite.formats.end()).size() != suite.formats.size())
      formats->fail("names a format twice");
  }
  suite.routing = node.get_string("routing", 64);
  if (!is_routing_word(suite.routing)) {
    node.fail("routing",
              fmt::format("expected router, balanced, uniform or zipf:<s> (0 < s <= 10), got \"{}\"", suite.routing));
  }
  if (const auto pairs = node.find("pairs")) {
    for (const JsonNode& pair : pairs->as_list(0, 64)) {
      pair.refuse_other_keys(std::vector<std::string>{"dense", "moe"});
      SuitePair read{.dense = pair.get_string("dense", 200), .moe = pair.get_string("moe", 200)};
      for (const auto& [key, name] : {std::pair("dense", read.dense), std::pair("moe", read.moe)}) {
        if (std::find(suite.models.begin(), suite.models.end(), name) == suite.models.end()) {
          pair.fail(key, fmt::format("\"{}\" is not among the models of this suite{}", name,
                                     did_you_mean(name, suite.models)));
        }
      }
      suite.pairs.push_back(std::move(read));
    }
  }
  return suite;
}

std::vector<std::string> list_suites(const fs::path& configs_dir) {
  const fs::path folder = configs_dir / "suites";
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  if (error) throw BadInput(folder.string(), "", fmt::format("cannot be listed: {}", error.message()));
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : entries) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Suite find_suite(const std::string& name_or_path, const fs::path& configs_dir) {
  const std::vector<std::string> names = list_suites(configs_dir);
  if (std::find(names.begin(), names.end(), name_or_path) != names.end()) {
    return read_suite(configs_dir / "suites" / (name_or_path + ".json"));
  }
  std::error_code ignored;
  if (fs::exists(name_or_path, ignored)) return read_suite(name_or_path);
  throw BadInput("--suite", "",
                 fmt::format("no suite \"{}\"{}: neither a file nor one of: {}", name_or_path,
                             did_you_mean(name_or_path, names), join(names)));
}

}  // namespace layercost
