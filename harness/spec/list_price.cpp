// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/list_price.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/spec/record_fields.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;
using std::chrono::sys_days;

// A million tokens above 100 000 USD is a misplaced point.
constexpr double kMaxUsdPerMtok = 1e5;

// Of a month the first day: no age is understated.
Date day_of(const std::string& text) { return *parse_date(text.size() == 7 ? text + "-01" : text); }

ListPriceText read_step(const JsonNode& node) {
  node.refuse_other_keys(std::vector<std::string>{"input_usd_per_mtok", "output_usd_per_mtok",
                                                  "cached_input_usd_per_mtok", "up_to_tokens"});
  ListPriceText step;
  const auto amount = [&](const char* key) {
    std::string text;
    if (get_amount(node, key, text) > kMaxUsdPerMtok)
      node.fail(key, fmt::format("more than {:g} USD per million tokens", kMaxUsdPerMtok));
    return text;
  };
  step.input = amount("input_usd_per_mtok");
  step.output = amount("output_usd_per_mtok");
  if (node.has("cached_input_usd_per_mtok")) step.cached_input = amount("cached_input_usd_per_mtok");
  step.up_to_tokens = node.find_int("up_to_tokens", 1, std::int64_t{1} << 40);
  return step;
}

}  // namespace

ListPrice read_list_price(const fs::path& file, Date on) {
  const JsonNode node = read_json(file);
  node.refuse_other_keys(std::vector<std::string>{"model", "provider", "prices", "conditions", "promotional", "source",
                                                  "retrieved_at", "valid_from", "valid_to"});
  ListPrice price;
  price.id = printable(file.stem().string());
  price.path = file.string();
  price.model = ascii_lower(get_filled(node, "model", 120));
  price.provider = get_filled(node, "provider", 120);
  price.conditions = node.find_string("conditions", 120).value_or("");
  for (const JsonNode& one : node.at("prices").as_list(1, 8)) {
    ListPriceText step = read_step(one);
    if (!price.steps.empty()) {
      const auto& last = price.steps.back().up_to_tokens;
      if (!last || (step.up_to_tokens && *step.up_to_tokens <= *last))
        one.fail("up_to_tokens", "expected steps from short inputs to long ones");
    }
    price.steps.push_back(std::move(step));
  }
  price.promotional = node.find_bool("promotional").value_or(false);
  price.source = get_filled(node, "source", 512);
  price.retrieved_at = get_past_day_or_month(node, "retrieved_at", on);
  if (node.find("valid_from")) price.valid_from = get_past_date(node, "valid_from", on);
  if (node.find("valid_to")) price.valid_to = get_date(node, "valid_to");
  if (price.valid_from && price.valid_to && sys_days(*price.valid_to) < sys_days(*price.valid_from))
    node.fail("valid_to", "is before valid_from");
  return price;
}

std::vector<ListPrice> list_list_prices(const fs::path& configs_dir, Date on) {
  std::vector<ListPrice> prices;
  for (const fs::path& file : record_files(configs_dir / "list_prices")) prices.push_back(read_list_price(file, on));
  return prices;
}

ListPrice find_list_price(const std::string& argument, const fs::path& configs_dir, Date on) {
  return read_list_price(find_record("--list-price", "list price", "", "prices", argument, configs_dir / "list_prices"),
                         on);
}

std::vector<std::string> list_price_labels(const ListPrice& price, Date on) {
  std::vector<std::string> labels;
  if (is_stale(day_of(price.retrieved_at), on)) labels.emplace_back("STALE");
  if (price.valid_to && sys_days(on) > sys_days(*price.valid_to)) labels.emplace_back("EXPIRED");
  if (price.promotional) labels.emplace_back("PROMOTIONAL");
  return labels;
}

std::string price_text(const ListPrice& price) {
  std::vector<std::string> steps;
  for (const ListPriceText& p : price.steps) {
    std::string text = fmt::format("input {}, ", p.input);
    if (p.cached_input) text += fmt::format("cached {}, ", *p.cached_input);
    text += fmt::format("output {}", p.output);
    if (p.up_to_tokens) text = fmt::format("up to {} tokens of input: {}", *p.up_to_tokens, text);
    else if (price.steps.size() > 1) text = "above: " + text;
    steps.push_back(std::move(text));
  }
  return fmt::format("{}", fmt::join(steps, "; "));
}

}  // namespace layercost
