// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/price_record.h"

#include <algorithm>
#include <stdexcept>

#include "harness/result/labels.h"

namespace layercost {
namespace {

PriceLabel price_label(const std::string& word) {
  for (const PriceLabelText& row : price_label_texts())
    if (row.shown == word) return row.label;
  throw std::logic_error("result/labels.cpp does not know the price label " + word);
}

}  // namespace

PriceRecord price_record(const Price& p) {
  PriceRecord r;
  r.id = price_id(p);
  r.label = price_summary(p);
  r.usd_per_hour = usd_per_device_hour(p);
  for (const std::string& word : price_labels(p)) r.labels.push_back(price_label(word));
  r.stale = std::find(r.labels.begin(), r.labels.end(), PriceLabel::stale) != r.labels.end();
  if (const auto* rented = std::get_if<RentalPrice>(&p)) {
    r.model = "rented";
    r.source = rented->source;
    r.retrieved_at = date_text(rented->retrieved_at);
  } else if (const auto* owned = std::get_if<OwnedPrice>(&p)) {
    r.model = "owned";
    r.source = owned->source;
    r.retrieved_at = date_text(owned->retrieved_at);
  } else {
    r.model = "command line";
  }
  return r;
}

}  // namespace layercost
