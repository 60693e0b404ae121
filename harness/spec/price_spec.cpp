// SPDX-License-Identifier: Apache-2.0
#include "harness/spec/price_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>

#include "harness/spec/json_reader.h"
#include "harness/spec/record_fields.h"
#include "kernels/core/error.h"

namespace layercost {
namespace {

namespace fs = std::filesystem;
using std::chrono::sys_days;

constexpr double kHoursPerYear = 8760.0;
constexpr int kStaleDays = 90;

// A rental above 100 000 USD per hour is a misplaced point.
constexpr double kMaxUsdPerHour = 1e5;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

RentalPrice read_rental(const JsonNode& node, Date on) {
  static const std::vector<std::string> known{"model",    "device",       "provider",    "region",
                                              "amount",   "currency",     "devices",     "term",
                                              "kind",     "boundary",     "included",    "excluded",
                                              "source",   "reviewer",     "promotional", "minimum_commitment",
                                              "valid_to", "retrieved_at", "valid_from",  "archived_sha256",
                                              "exchange", "sku",          "hours"};
  node.refuse_other_keys(known);
  RentalPrice price;
  price.device = get_filled(node, "device", 120);
  price.sku = node.find_string("sku", 120).value_or("");
  price.provider = get_filled(node, "provider", 120);
  price.region = node.find_string("region", 120).value_or("");
  const double amount = get_amount(node, "amount", price.amount);
  price.currency = node.get_string("currency", 8);
  if (price.currency.size() != 3 ||
      !std::all_of(price.currency.begin(), price.currency.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
    node.fail("currency", fmt::format("expected a code of ISO 4217 such as USD, got \"{}\"", price.currency));
  }
  price.devices = static_cast<int>(node.get_int("devices", 1, 1 << 20));
  price.hours = static_cast<int>(node.find_int("hours", 1, 1 << 20).value_or(1));
  price.term = get_word(node, "term", {"on-demand", "spot", "reserved", "community"});
  price.minimum_commitment = node.find_string("minimum_commitment", 200).value_or("");
  price.kind = get_word(node, "kind", {"list", "street", "estimate"});
  price.boundary = get_word(node, "boundary", {"device", "node", "rack"});
  price.included = get_texts(node, "included");
  price.excluded = get_texts(node, "excluded");
  price.source = get_filled(node, "source", 400);
  price.archived_sha256 = node.find_string("archived_sha256", 64).value_or("");
  price.retrieved_at = get_past_date(node, "retrieved_at", on);
  price.valid_from = get_past_date(node, "valid_from", on);
  if (node.find("valid_to")) {
    price.valid_to = get_date(node, "valid_to");
    if (sys_days(*price.valid_to) < sys_days(price.valid_from)) node.fail("valid_to", "is before valid_from");
  }
  price.promotional = node.find_bool("promotional").value_or(false);
  price.reviewer = node.find_string("reviewer", 120).value_or("");
  if (const auto exchange = node.find("exchange"); price.currency == "USD") {
    if (exchange) exchange->fail("a price in USD needs no rate");
  } else if (!exchange) {
    node.fail("exchange",
              fmt::format("the key is missing: {} needs a dated rate {{usd_per_unit, date, source}}", price.currency));
  } else {
    exchange->refuse_other_keys(std::vector<std::string>{"usd_per_unit", "date", "source"});
    std::string text;
    price.usd_per_unit_of_currency = get_amount(*exchange, "usd_per_unit", text);
    price.exchange_date = get_past_date(*exchange, "date", on);
    get_filled(*exchange, "source", 400);
  }
  if (amount * price.usd_per_unit_of_currency / price.devices / price.hours > kMaxUsdPerHour) {
    node.fail("amount", fmt::format("more than {:g} USD per hour of a device", kMaxUsdPerHour));
  }
  return price;
}

OwnedPrice read_owned(const JsonNode& node, Date on) {
  static const std::vector<std::string> known{
      "model",        "device",  "title",        "capex_usd",   "years",   "rate",     "opex_usd_per_year",
      "availability", "power_w", "pue",          "usd_per_kwh", "devices", "boundary", "included",
      "excluded",     "source",  "retrieved_at", "valid_from",  "example",
      "any_device"};
  node.refuse_other_keys(known);
  OwnedPrice price;
  std::string text;
  price.device = get_filled(node, "device", 120);
  price.title = get_filled(node, "title", 300);
  price.capex_usd = get_amount(node, "capex_usd", text);
  price.years = node.get_number("years", 0.1, 50.0);
  price.rate = node.get_number("rate", 0.0, 1.0);
  price.opex_usd_per_year = node.get_number("opex_usd_per_year", 0.0, 1e9);
  price.availability = node.get_number("availability", 0.01, 1.0);
  if (const auto power = node.find_number("power_w", 1.0, 1e7)) {
    price.power_w = *power;
    price.pue = node.get_number("pue", 1.0, 5.0);
    price.usd_per_kwh = get_amount(node, "usd_per_kwh", text);
  } else {
    for (const char* key : {"pue", "usd_per_kwh"}) {
      if (node.find(key)) node.fail(key, "has no effect without power_w");
    }
  }
  price.devices = static_cast<int>(node.get_int("devices", 1, 1 << 20));
  price.boundary = get_word(node, "boundary", {"device", "node", "rack"});
  price.included = get_texts(node, "included");
  price.excluded = get_texts(node, "excluded");
  price.source = get_filled(node, "source", 400);
  price.retrieved_at = get_past_date(node, "retrieved_at", on);
  price.valid_from = get_past_date(node, "valid_from", on);
  price.example = node.find_bool("example").value_or(false);
  price.any_device = node.find_bool("any_device").value_or(false);
  if (price.any_device && !price.example) node.fail("any_device", "is for an example; a machine has a name");
  if (price.usd_per_device_hour() > kMaxUsdPerHour) {
    node.fail("capex_usd", fmt::format("amounts to more than {:g} USD per hour of a device", kMaxUsdPerHour));
  }
  return price;
}

}  // namespace

Date today() { return Date(std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now())); }

std::string date_text(Date date) {
  return fmt::format("{:04}-{:02}-{:02}", int(date.year()), unsigned(date.month()), unsigned(date.day()));
}

std::optional<Date> parse_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto number = [&](std::size_t from, std::size_t count) {
    int value = 0;
    for (const char c : text.substr(from, count)) {
      if (c < '0' || c > '9') return -1;
      value = 10 * value + (c - '0');
    }
    return value;
  };
  const int year = number(0, 4), month = number(5, 2), day = number(8, 2);
  if (year < 1970 || month < 1 || day < 1) return std::nullopt;
  const Date date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                  std::chrono::day(static_cast<unsigned>(day))};
  return date.ok() ? std::optional(date) : std::nullopt;
}

std::optional<double> parse_decimal(std::string_view text) {
  const std::size_t point = std::min(text.find('.'), text.size());
  const std::string_view whole = text.substr(0, point);
  const std::string_view part = point < text.size() ? text.substr(point + 1) : std::string_view();
  const auto digits = [](std::string_view s) {
    return std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  // 15 digits in all are exact in a double.
  if (whole.empty() || whole.size() + part.size() > 15 || !digits(whole) || !digits(part)) return std::nullopt;
  if (point < text.size() && part.empty()) return std::nullopt;
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0.0)) return std::nullopt;
  return value;
}

bool is_stale(Date retrieved_at, Date on) {
  return sys_days(on) - sys_days(retrieved_at) > std::chrono::days(kStaleDays);
}

double capital_recovery_factor(double rate, double years) {
  if (rate == 0.0) return 1.0 / years;
  // expm1 and log1p: at small rates (1+r)^n - 1 loses its digits. CRF = r / (1 - (1+r)^-n).
  return rate / -std::expm1(-years * std::log1p(rate));
}

double RentalPrice::usd_per_device_hour() const {
  return parse_decimal(amount).value() * usd_per_unit_of_currency / devices / hours;
}

double OwnedPrice::capital_usd_per_device_hour() const {
  return (capex_usd * capital_recovery_factor(rate, years) + opex_usd_per_year) / (kHoursPerYear * availability) /
         devices;
}

double OwnedPrice::energy_usd_per_device_hour() const {
  return power_w ? *power_w / 1000.0 * pue * usd_per_kwh / devices : 0.0;
}

double OwnedPrice::usd_per_device_hour() const { return capital_usd_per_device_hour() + energy_usd_per_device_hour(); }

double usd_per_device_hour(const Price& price) {
  return std::visit(Overloaded{[](const StatedPrice& p) { return p.usd_per_hour; },
                               [](const auto& p) { return p.usd_per_device_hour(); }},
                    price);
}

std::string price_id(const Price& price) {
  return std::visit(Overloaded{[](const StatedPrice& p) { return p.text; }, [](const auto& p) { return p.id; }}, price);
}

std::string price_summary(const Price& price) {
  return std::visit(Overloaded{[](const RentalPrice& p) {
                                 return fmt::format("{} rented from {}{}, {}, {} {}/{}{}, {}", p.device, p.provider,
                                                    p.region.empty() ? "" : " in " + p.region, p.term, p.amount,
                                                    p.currency, p.hours == 1 ? "h" : fmt::format("{} h", p.hours),
                                                    p.devices == 1 ? "" : fmt::format(" for {} devices", p.devices),
                                                    date_text(p.retrieved_at));
                               },
                               [](const OwnedPrice& p) {
                                 return fmt::format("{}, owned: {} ({})", p.device, p.title, date_text(p.retrieved_at));
                               },
                               [](const StatedPrice& p) {
                                 return fmt::format("{} USD per hour, as given on the command line", p.usd_per_hour);
                               }},
                    price);
}

std::string price_device(const Price& price) {
  if (const auto* rented = std::get_if<RentalPrice>(&price)) return rented->device;
  const auto* owned = std::get_if<OwnedPrice>(&price);
  return owned != nullptr && !owned->any_device ? owned->device : "";
}

std::vector<std::string> price_labels(const Price& price, Date on) {
  std::vector<std::string> labels;
  const auto dated = [&](Date retrieved_at) {
    if (is_stale(retrieved_at, on)) labels.emplace_back("STALE");
  };
  std::visit(Overloaded{[&](const RentalPrice& p) {
                          dated(p.retrieved_at);
                          if (p.valid_to && sys_days(on) > sys_days(*p.valid_to)) labels.emplace_back("EXPIRED");
                          if (p.promotional) labels.emplace_back("PROMOTIONAL");
                          if (p.kind == "estimate") labels.emplace_back("ESTIMATE");
                          const auto electric = [](const std::string& what) {
                            return what.find("electricity") != std::string::npos;
                          };
                          if (std::none_of(p.included.begin(), p.included.end(), electric))
                            labels.emplace_back("NO_ELECTRICITY");
                        },
                        [&](const OwnedPrice& p) {
                          dated(p.retrieved_at);
                          if (p.example) labels.emplace_back("EXAMPLE");
                          if (!p.power_w) labels.emplace_back("NO_ELECTRICITY");
                        },
                        [&](const StatedPrice&) { labels.emplace_back("COMMAND_LINE"); }},
             price);
  return labels;
}

Price read_price(const fs::path& file, Date on) {
  const JsonNode node = read_json(file);
  const auto named = [&](auto price) {
    price.id = printable(file.stem().string());
    price.path = file.string();
    return Price(std::move(price));
  };
  if (get_word(node, "model", {"rented", "owned"}) == "rented") return named(read_rental(node, on));
  return named(read_owned(node, on));
}

std::vector<Price> list_prices(const fs::path& configs_dir, Date on) {
  std::vector<Price> prices;
  for (const fs::path& file : record_files(configs_dir / "prices")) prices.push_back(read_price(file, on));
  return prices;
}

Price find_price(const std::string& argument, const fs::path& configs_dir, Date on) {
  if (const std::size_t slash = argument.rfind('/');
      slash != std::string::npos && (argument.substr(slash) == "/h" || argument.substr(slash) == "/hour")) {
    const std::optional<double> amount = parse_decimal(std::string_view(argument).substr(0, slash));
    if (!amount || *amount > kMaxUsdPerHour) {
      throw BadInput("--price", "",
                     fmt::format("expected USD per hour above zero such as 2.50/h, got \"{}\"", argument));
    }
    return StatedPrice{.text = argument, .usd_per_hour = *amount};
  }
  if (parse_decimal(argument)) {
    throw BadInput("--price", "", fmt::format("\"{}\" has no unit; write {}/h for USD per hour", argument, argument));
  }
  return read_price(find_record("--price", "price", "2.50/h, ", "prices", argument, configs_dir / "prices"), on);
}

}  // namespace layercost
