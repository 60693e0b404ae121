// SPDX-License-Identifier: Apache-2.0
#include "harness/cli/price_record.h"

namespace layercost {

PriceRecord price_record(const Price& p) {
  PriceRecord r;
  r.id = price_id(p);
  r.label = price_summary(p);
  r.usd_per_h = usd_per_device_hour(p);
  for (const std::string& l : price_labels(p)) r.stale |= l == "STALE";
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
