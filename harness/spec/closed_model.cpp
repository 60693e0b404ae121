// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/closed_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "harness/spec/json_reader.h"
#include "harness/spec/price_spec.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;

std::string amount(const JsonNode& price, const char* key) {
  std::string text = price.get_string(key, 32);
  if (!parse_decimal(text)) price.fail(key, "expected a decimal above zero, such as \"1.25\", got \"" + text + "\"");
  return text;
}

std::string date_read(const JsonNode& price) {
  std::string text = price.get_string("retrieved_at", 10);
  const std::optional<Date> date = parse_date(text.size() == 7 ? text + "-01" : text);
  if (!date) price.fail("retrieved_at", "expected YYYY-MM-DD or YYYY-MM, got \"" + text + "\"");
  if (*date > today()) price.fail("retrieved_at", text + " is in the future");
  return text;
}

ClosedModel read_closed_model(const fs::path& file) {
  const JsonNode node = read_json(file);
  node.refuse_other_keys(std::vector<std::string>{"title", "maker", "aliases", "prices"});
  ClosedModel m;
  m.name = ascii_lower(file.stem().string());
  m.title = node.get_string("title", 64);
  m.maker = node.get_string("maker", 64);
  for (const std::string& alias : node.at("aliases").as_string_list(64)) m.aliases.push_back(ascii_lower(alias));
  for (const JsonNode& price : node.at("prices").as_list(1, 8)) {
    price.refuse_other_keys(std::vector<std::string>{"input_usd_per_mtok", "output_usd_per_mtok",
                                                     "cached_input_usd_per_mtok", "up_to_tokens", "source",
                                                     "retrieved_at"});
    ListPrice p;
    p.input = amount(price, "input_usd_per_mtok");
    p.output = amount(price, "output_usd_per_mtok");
    if (price.has("cached_input_usd_per_mtok")) p.cached_input = amount(price, "cached_input_usd_per_mtok");
    p.up_to_tokens = price.find_int("up_to_tokens", 1, std::int64_t{1} << 40);
    if (!m.prices.empty() &&
        (!m.prices.back().up_to_tokens || (p.up_to_tokens && *p.up_to_tokens <= *m.prices.back().up_to_tokens)))
      price.fail("up_to_tokens", "expected steps from short inputs to long ones");
    p.source = price.get_string("source", 512);
    p.retrieved_at = date_read(price);
    m.prices.push_back(std::move(p));
  }
  return m;
}

}  // namespace

std::vector<ClosedModel> list_closed_models(const fs::path& configs_dir) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(configs_dir / "closed", error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".json") files.push_back(it->path());
  std::sort(files.begin(), files.end());
  std::vector<ClosedModel> out;
  std::set<std::string> names;
  for (const fs::path& file : files) {
    out.push_back(read_closed_model(file));
    std::vector<std::string> own = out.back().aliases;
    own.push_back(out.back().name);
    for (const std::string& name : own)
      if (!names.insert(name).second) throw BadInput(file.string(), "aliases", "\"" + name + "\" is taken");
  }
  return out;
}

std::optional<ClosedModel> find_closed_model(const std::string& name, const fs::path& configs_dir) {
  const std::string wanted = ascii_lower(name);
  for (ClosedModel& m : list_closed_models(configs_dir))
    if (m.name == wanted || std::find(m.aliases.begin(), m.aliases.end(), wanted) != m.aliases.end())
      return std::move(m);
  return std::nullopt;
}

std::string price_text(const ClosedModel& m) {
  std::vector<std::string> steps;
  for (const ListPrice& p : m.prices) {
    std::string text = fmt::format("input {}, ", p.input);
    if (p.cached_input) text += fmt::format("cached {}, ", *p.cached_input);
    text += fmt::format("output {}", p.output);
    if (p.up_to_tokens) text = fmt::format("up to {} tokens of input: {}", *p.up_to_tokens, text);
    else if (m.prices.size() > 1) text = "above: " + text;
    steps.push_back(std::move(text));
  }
  return fmt::format("{}", fmt::join(steps, "; "));
}

}  // namespace layercost
