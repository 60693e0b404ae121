// What:    what this machine can do, measured by fixed probes beside the samples.
//          Bandwidth roof: reading a buffer of 4 x the last-level cache on all threads; each probe reads the next
//          window of 512 MiB of it (or all, if it is smaller), so that every byte was last touched 4 x the cache ago.
//          On a GPU the buffer has at least 2 GiB and is read whole, the best of five times.
//          Compute roof: the best rate that any candidate of `linear` (choose.h) reaches on 256 x 5120 x 25600 (GPU:
//          8192 cubed) in the weight type; the fastest is found once and is the probe from then on.
// Units:   bytes/s, flops/s.
// Cost:    a bandwidth probe takes 512 MiB / bandwidth (10 ms at 50 GB/s), a compute probe 67 GFLOP / rate (0.1 s at
//          670 GFLOP/s). On a machine where it takes more than kSlowProbe_s, the compute probe runs once per round
//          instead of around every sample. On a GPU both run once per round.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "harness/result/record.h"
#include "kernels/contract/op.h"

namespace layercost {

// The probe, unless the sample contradicts it (result/roofline.h): then it was disturbed, by a program that was gone
// when the sample was taken, and `again` is asked for another one, up to three times. The last one where all are
// contradicted.
Roofs believable_roofs(std::span<const OpRecord> ops, const Sample&, Roofs probe, const std::function<Roofs()>& again);

class RoofProbe {
 public:
  static constexpr double kSlowProbe_s = 0.25;

  // `gpu_side`: rows, columns and depth of a GPU's compute probe; tests take a smaller one.
  RoofProbe(DType arithmetic, Runtime& runtime, std::int64_t gpu_side = 8192);
  ~RoofProbe();
  Roofs measure();       // both; the compute roof may be the last one measured, see kSlowProbe_s
  Roofs measure_anew();  // both in any case: the last ones are known to be wrong
  void start_round();    // makes the next measure() probe the compute roof in any case
  const std::string& compute_variant() const { return variant_; }

 private:
  double measure_read();
  double measure_compute();
  double flops() const { return 2.0 * static_cast<double>(m_) * static_cast<double>(n_) * static_cast<double>(k_); }
  Runtime& runtime_;
  std::int64_t m_, n_, k_;
  std::size_t window_ = 0, at_ = 0;
  Buffer buffer_;
  OwnedTensor x_, y_;
  std::shared_ptr<const Weight> weight_;
  std::unique_ptr<Invocation> product_;
  std::string variant_;
  OwnedTensor sums_;      // one for each block of a GPU's read probe
  double compute_s_ = 0;  // of the last compute probe
  Roofs last_;
  bool due_ = true;
};

}  // namespace layercost
