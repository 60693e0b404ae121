// What:    the vendor's figures as limits of a step's operations: of memory, and of every arithmetic that they use.
// Which:   an arithmetic is held against the vendor's rate that its hardware could take for it at best:
//            bf16, f32             its own; of f32 the files hold none, and no device exceeds in it the rate of the
//                                  activations, which stands in for it
//            bf16 x fp8_...        fp8, where the vendor gives it: an engine may round activations to fp8 as well
//            bf16 x mxfp4, nvfp4   fp4, else fp8
//                                  of both the fastest, sums kept in f16 (GeForce: twice the rate) or not
//            bf16 x other formats  bf16: codes that stand for integers are widened. The files hold no rates of
//                                  integers, so an engine that multiplies them as such is not bound by it: `is_bound`
//                                  false
//          Nominal figures are those of the boost clock, which no load keeps. They are never a roof of what was
//          measured (result/roofline.h).
// Units:   FLOP/s, bytes/s.
// Errors:  nullopt where the vendor gives no rate for the activations' type.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "harness/result/record.h"
#include "harness/spec/hardware_spec.h"

namespace layercost {

struct NominalRate {
  std::string arithmetic;  // as ops name it: "bf16", "bf16 x fp8_block128"
  std::string dtype;       // of the vendor's rate
  double flops_per_s = 0;
  std::string accumulate;          // as HardwarePeak's
  std::string source, date;
  bool verified = true;
  bool is_bound = true;
};
struct NominalRoofs {
  Roofs roofs;                     // of one device
  std::vector<NominalRate> rates;  // the activations' first, then each other that the ops use
};
std::optional<NominalRoofs> nominal_roofs(const HardwareSpec& hardware, const std::string& activation_type,
                                          std::span<const OpRecord> ops);

}  // namespace layercost
