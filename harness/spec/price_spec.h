// What:    what an hour of a machine costs: dated, sourced records, never constants in code. A price is a scenario, not
//          a fact of nature. Rented, owned and stated (`--price 2.50/h`) are different types: electricity can be added
//          to an owned machine only, because a rental already contains it.
// Formula: CRF(r, n) = r (1+r)^n / ((1+r)^n - 1), and 1/n at r = 0
//          owned: (capex x CRF + opex per year) / (8760 x availability) + power[kW] x PUE x USD per kWh
// Units:   USD per hour of one *measured device* (rented by the node: divided by its devices); rates and shares as
//          fractions (0.08), power in watts, dates as YYYY-MM-DD.
// Errors:  BadInput for a price that is zero, negative, no plain decimal, undated, unsourced, dated in the future, or
//          in a currency without a dated rate. Expired or older than 90 days is a label, not an error.
// Source:  each record names its own; the formula is the annuity of engineering economics.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace layercost {

using Date = std::chrono::year_month_day;

Date today();                          // UTC
std::string date_text(Date);           // "2026-09-25"
std::optional<Date> parse_date(std::string_view text);  // YYYY-MM-DD of the calendar, else nothing

struct RentalPrice {
  std::string id, path;                // file name without .json; the file
  std::string device;                  // what is rented: "NVIDIA H100 SXM 80 GB"
  std::string sku;                     // what the provider calls it; "" if not told
  std::string provider, region;        // region "" if not given
  std::string amount;                  // as written: "2.69"
  std::string currency;                // ISO 4217
  int devices = 1;                     // that the amount buys: 8 if it is the price of an 8-device node
  int hours = 1;                       // for how long: 8760 if it is the price of a year
  std::string term;                    // on-demand, spot, reserved, community
  std::string minimum_commitment;      // "" if none is known
  std::string kind;                    // list, street, estimate
  std::string boundary;                // device, node, rack
  std::vector<std::string> included, excluded;
  std::string source;
  std::string archived_sha256;         // of the copy of the source; "" if there is none
  Date retrieved_at, valid_from;
  std::optional<Date> valid_to;
  bool promotional = false;
  std::string reviewer;                // "" if nobody checked it
  double usd_per_unit_of_currency = 1.0;  // 1 for USD
  std::optional<Date> exchange_date;   // of that rate; none for USD

  double usd_per_device_hour() const;
};

struct OwnedPrice {
  std::string id, path;
  std::string device;
  std::string title;                   // one sentence: whose machine, whose assumptions
  double capex_usd = 0.0, years = 0.0, rate = 0.0, opex_usd_per_year = 0.0, availability = 1.0;
  std::optional<double> power_w;       // of the whole machine under load; none: electricity is left out and labelled
  double pue = 1.0, usd_per_kwh = 0.0; // only used with power_w
  int devices = 1;                     // measured devices in the machine
  std::string boundary;
  std::vector<std::string> included, excluded;
  std::string source;                  // where the assumptions come from
  Date retrieved_at, valid_from;
  bool example = false;                // a labelled example scenario, nobody's real machine
  bool any_device = false;             // of whatever was measured; an example alone

  double capital_usd_per_device_hour() const;  // purchase and yearly costs, without electricity
  double energy_usd_per_device_hour() const;   // from power_w; 0 if there is none. Never add measured energy to it
  double usd_per_device_hour() const;          // both
};

// Given on the command line: USD per hour of the measured device. Nothing else is known about it.
struct StatedPrice {
  std::string text;                    // "2.50/h"
  double usd_per_hour = 0.0;
};

using Price = std::variant<RentalPrice, OwnedPrice, StatedPrice>;

bool is_stale(Date retrieved_at, Date on);  // more than 90 days ago

double capital_recovery_factor(double rate, double years);

// Of any price: USD per hour of one measured device; its id (the text of a stated one); one line that says what it is;
// and its labels on a day: STALE (retrieved more than 90 days ago), EXPIRED (after valid_to), PROMOTIONAL, ESTIMATE,
// EXAMPLE, NO_ELECTRICITY, COMMAND_LINE.
double usd_per_device_hour(const Price&);
std::string price_id(const Price&);
std::string price_summary(const Price&);
// What it is the price of; "" if it is of whatever was measured: a stated one, or an example that says so.
std::string price_device(const Price&);
std::vector<std::string> price_labels(const Price&, Date on = today());

// "2.50" -> 2.5. Digits with at most one point; no sign, exponent, or separators; above zero.
std::optional<double> parse_decimal(std::string_view text);

Price read_price(const std::filesystem::path& file, Date on = today());
std::vector<Price> list_prices(const std::filesystem::path& configs_dir, Date on = today());
// The argument of --price: "2.50/h", an id in configs/prices, or a file.
Price find_price(const std::string& argument, const std::filesystem::path& configs_dir, Date on = today());

}  // namespace layercost
