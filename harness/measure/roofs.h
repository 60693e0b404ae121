// What:    what this machine can do, measured by fixed probes beside the samples.
//          Bandwidth roof: reading a buffer of 4 x the last-level cache on all threads; each probe reads the next
//          window of 512 MiB of it (or all, if it is smaller), so that every byte was last touched 4 x the cache ago.
//          On a GPU the buffer has at least 2 GiB and is read whole, the best of five times.
//          Compute roof: the best rate that any candidate of `linear` (choose.h) reaches on 256 x 5120 x 25600 (GPU:
//          8192 cubed) in the activations' type, or on a quarter of the columns where that takes longer than
//          kSlowProbe_s; the fastest is found once and is the probe from then on. Each further
//          arithmetic that the run's points use (contract/op.h) has one of its own, of a quarter of the columns (GPU:
//          of all; where only the plain variant can do it, a sixteenth of that), which runs beside the samples of the
//          parts that use it.
// Units:   bytes/s, flops/s.
// Cost:    a bandwidth probe takes 512 MiB / bandwidth (10 ms at 50 GB/s), a compute probe 67 GFLOP / rate (0.1 s at
//          670 GFLOP/s), one of a further arithmetic a quarter of that. On a machine where one takes more than
//          kSlowProbe_s, it runs once per round instead of around every sample. On a GPU all run once per round.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "harness/result/record.h"
#include "kernels/contract/op.h"

namespace layercost {

// The probe, unless the sample contradicts it (result/roofline.h): then it was disturbed, by a program that was gone
// when the sample was taken, and `again` is asked for another one, up to three times. The last one where all are
// contradicted.
Roofs believable_roofs(std::span<const OpRecord> ops, const Sample&, Roofs probe, const std::function<Roofs()>& again);

// Names of the further arithmetics that ops use.
std::set<std::string> arithmetics_of(std::span<const OpRecord>);

class RoofProbe {
 public:
  static constexpr double kSlowProbe_s = 0.25;

  // `gpu_side`: rows, columns and depth of a GPU's compute probe; tests take a smaller one.
  RoofProbe(DType arithmetic, Runtime& runtime, std::int64_t gpu_side = 8192);
  ~RoofProbe();
  // From now on this one is probed, too, where it is asked for. Once; that of the constructor is known.
  void add(const Arithmetic&);
  // Reading, the constructor's arithmetic and `further` ones that were added; a compute roof may be the last one
  // measured, see kSlowProbe_s.
  Roofs measure(const std::set<std::string>& further = {});
  Roofs measure_anew(const std::set<std::string>& further = {});  // in any case: the last ones are known to be wrong
  void start_round();  // makes the next measure() probe each compute roof in any case
  const std::string& compute_variant() const;

 private:
  struct Product;
  std::unique_ptr<Product> product_of(const Arithmetic&, std::int64_t columns);
  std::unique_ptr<Product> fastest(const Arithmetic&, OpCase, std::int64_t columns, const std::vector<const Variant*>&);
  double measure_read();
  double measure_compute(Product&);
  double rate_of(Product&);  // measured, or the last one
  Runtime& runtime_;
  std::int64_t rows_, columns_, depth_;
  std::size_t window_ = 0, at_ = 0;
  Buffer buffer_;
  std::unique_ptr<Product> own_;
  std::map<std::string, std::unique_ptr<Product>> further_;
  OwnedTensor sums_;  // one for each block of a GPU's read probe
  double read_bytes_per_s_ = 0;
  bool read_due_ = true;
};

}  // namespace layercost
