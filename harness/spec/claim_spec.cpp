// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/claim_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "harness/spec/record_fields.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

constexpr double kLeast = 1e-15, kMost = 1e18;

struct KindRow {
  std::string_view name;
  ClaimKind kind;
  std::vector<std::string> keys;  // its own
};
const std::vector<KindRow>& kinds() {
  static const std::vector<KindRow> all = {
      {"ratio", ClaimKind::ratio, {"numerator", "denominator", "numerator_devices", "denominator_devices"}},
      {"saving", ClaimKind::saving, {"before", "after"}},
      {"product", ClaimKind::product, {"factors"}},
      {"node_hours", ClaimKind::node_hours, {"parts"}},
      {"usd_per_mtok", ClaimKind::usd_per_mtok, {"usd_per_hour", "tokens_per_s"}},
      {"list_price_saving", ClaimKind::list_price_saving, {"before", "after", "input", "cached_input", "output"}},
      {"paid_ratio", ClaimKind::paid_ratio, {"dense", "moe", "phase", "batch", "weight_type", "device"}},
      {"device_ratio", ClaimKind::device_ratio, {"faster", "slower"}},
  };
  return all;
}

Claimed read_claimed(const JsonNode& node) {
  node.refuse_other_keys(std::vector<std::string>{"value", "within", "at_least", "at_most", "up_to"});
  Claimed c;
  c.value = node.find_number("value", kLeast, kMost);
  c.within = node.find_number("within", 0.0, kMost);
  c.at_least = node.find_number("at_least", kLeast, kMost);
  c.at_most = node.find_number("at_most", kLeast, kMost);
  c.up_to = node.find_number("up_to", kLeast, kMost);
  if (c.value.has_value() != c.within.has_value()) node.fail("expected value and within together");
  const int forms = c.value.has_value() + c.up_to.has_value() + (c.at_least || c.at_most);
  if (forms != 1) node.fail("expected value with within, at_least and at_most, or up_to, and one of them");
  if (c.at_least && c.at_most && *c.at_least > *c.at_most) node.fail("at_most", "is below at_least");
  return c;
}

void read_numbers(const JsonNode& node, ClaimQuantity& q) {
  const auto number = [&](const char* key) { return node.get_number(key, kLeast, kMost); };
  switch (q.kind) {
    case ClaimKind::ratio:
      q.numbers = {number("numerator") / node.find_number("numerator_devices", 1, 1e9).value_or(1),
                   number("denominator") / node.find_number("denominator_devices", 1, 1e9).value_or(1)};
      break;
    case ClaimKind::saving:
      q.numbers = {number("before"), number("after")};
      break;
    case ClaimKind::product:
      for (const JsonNode& factor : node.at("factors").as_list(1, 16))
        q.numbers.push_back(factor.as_number(kLeast, kMost));
      break;
    case ClaimKind::node_hours:
      for (const JsonNode& part : node.at("parts").as_list(1, 16)) {
        part.refuse_other_keys(std::vector<std::string>{"tokens", "tokens_per_s"});
        q.parts.emplace_back(part.get_number("tokens", kLeast, kMost), part.get_number("tokens_per_s", kLeast, kMost));
      }
      break;
    case ClaimKind::usd_per_mtok: {
      std::string text;
      q.numbers = {get_amount(node, "usd_per_hour", text), number("tokens_per_s")};
      break;
    }
    case ClaimKind::list_price_saving:
      q.before = get_filled(node, "before", 120);
      q.after = get_filled(node, "after", 120);
      q.input = node.get_number("input", 0, 1e9);
      q.cached_input = node.get_number("cached_input", 0, 1e9);
      q.output = node.get_number("output", 0, 1e9);
      if (!(q.input + q.cached_input + q.output > 0)) node.fail("input", "expected a share above zero somewhere");
      break;
    case ClaimKind::paid_ratio:
      q.dense = get_filled(node, "dense", 120);
      q.moe = get_filled(node, "moe", 120);
      q.phase = get_word(node, "phase", {"prefill", "decode"});
      q.batch = node.find_int("batch", 1, 1 << 30);
      q.weight_type = node.find_string("weight_type", 32).value_or("");
      q.device = node.find_string("device", 120).value_or("");
      break;
    case ClaimKind::device_ratio:
      q.faster = get_filled(node, "faster", 120);
      q.slower = get_filled(node, "slower", 120);
      break;
  }
}

ClaimQuantity read_quantity(const JsonNode& node) {
  std::vector<std::string> names;
  for (const KindRow& row : kinds()) names.emplace_back(row.name);
  const std::string kind = get_word(node, "kind", names);
  const auto row = std::find_if(kinds().begin(), kinds().end(), [&](const KindRow& r) { return r.name == kind; });
  std::vector<std::string> known{"what", "kind", "claimed", "unit", "source", "note", "command"};
  known.insert(known.end(), row->keys.begin(), row->keys.end());
  node.refuse_other_keys(known);
  ClaimQuantity q;
  q.kind = row->kind;
  q.what = get_filled(node, "what", 300);
  q.claimed = read_claimed(node.at("claimed"));
  q.unit = node.find_string("unit", 32).value_or("");
  q.source = node.find_string("source", 400).value_or("");
  q.note = node.find_string("note", 400).value_or("");
  q.command = node.find_string("command", 300).value_or("");
  if (is_measured(q.kind) && q.command.empty())
    node.fail("command", "the key is missing: what is measured needs the command that shows it");
  read_numbers(node, q);
  return q;
}

}  // namespace

bool is_measured(ClaimKind kind) { return kind == ClaimKind::paid_ratio || kind == ClaimKind::device_ratio; }

std::string claimed_text(const ClaimQuantity& q) {
  const Claimed& c = q.claimed;
  std::string text;
  if (c.value) text = fmt::format("{:g} ±{:g}", *c.value, *c.within);
  if (c.at_least) text = fmt::format("at least {:g}", *c.at_least);
  if (c.at_most) text += fmt::format("{}at most {:g}", text.empty() ? "" : ", ", *c.at_most);
  if (c.up_to) text = fmt::format("up to {:g}", *c.up_to);
  return text;
}

Claim read_claim(const std::filesystem::path& file, Date on) {
  const JsonNode node = read_json(file);
  node.refuse_other_keys(std::vector<std::string>{"statement", "source", "date", "quantities"});
  Claim claim;
  claim.id = printable(file.stem().string());
  claim.path = file.string();
  claim.statement = get_filled(node, "statement", 400);
  claim.source = get_filled(node, "source", 400);
  claim.date = get_past_day_or_month(node, "date", on);
  for (const JsonNode& one : node.at("quantities").as_list(1, 32)) claim.quantities.push_back(read_quantity(one));
  return claim;
}

std::vector<Claim> list_claims(const std::filesystem::path& configs_dir, Date on) {
  std::vector<Claim> claims;
  for (const std::filesystem::path& file : record_files(configs_dir / "claims")) claims.push_back(read_claim(file, on));
  return claims;
}

Claim find_claim(const std::string& argument, const std::filesystem::path& configs_dir, Date on) {
  return read_claim(find_record("--claim", "claim", "", "claims", argument, configs_dir / "claims"), on);
}

}  // namespace layercost
