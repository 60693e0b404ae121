// What:    a price as result files hold it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "harness/result/record.h"
#include "harness/spec/price_spec.h"

namespace layercost {
PriceRecord price_record(const Price&);
}
