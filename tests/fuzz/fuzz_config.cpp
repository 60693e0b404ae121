// What:    feeds any bytes to the reader of config.json, of prices, hardware and suites, and to the JSON reader itself.
//          Each may refuse with BadInput, and with nothing else.
// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include <stdlib.h>
#include <stdio.h>

#include "harness/spec/hardware_spec.h"
#include "harness/spec/json_reader.h"
#include "harness/plan/counts.h"
#include "harness/spec/price_spec.h"
#include "harness/spec/suite_spec.h"
#include "kernels/core/error.h"

namespace {

// The readers take files. One file per process, in memory where /dev/shm exists, removed at exit.
struct Scratch {
  std::filesystem::path path;
  Scratch() {
    std::error_code error;
    const bool has_shm = std::filesystem::is_directory("/dev/shm", error);
    std::string name = (has_shm ? std::string("/dev/shm") : std::filesystem::temp_directory_path().string()) +
                       "/layercost-fuzz-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path = std::filesystem::path(name) / "config.json";
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path.parent_path(), ignored);
  }
};

template <class Action>
void may_refuse(Action&& action) {
  try {
    action();
  } catch (const layercost::BadInput& error) {
    // One line, whatever the file holds.
    if (std::string_view(error.what()).find_first_of("\n\r\x1b") != std::string_view::npos) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Scratch scratch;
  static const layercost::Date day = *layercost::parse_date("2026-12-01");
  std::FILE* file = std::fopen(scratch.path.c_str(), "wb");
  if (file == nullptr) std::abort();
  if (size > 0 && std::fwrite(data, 1, size, file) != size) std::abort();
  std::fclose(file);

  may_refuse([&] { layercost::parse_json("fuzz", {reinterpret_cast<const char*>(data), size}); });
  may_refuse([&] {
    const layercost::ModelSpec spec = layercost::read_model(scratch.path);
    // What was accepted must be countable and consistent.
    const layercost::ParameterCount count = layercost::count_parameters(spec);
    if (count.total < count.active || count.active <= count.active_layers || count.active_layers <= 0) std::abort();
    if (layercost::kv_elements_per_token(spec) <= 0) std::abort();
    if (spec.kind_of_layer.size() != static_cast<std::size_t>(spec.layers)) std::abort();
    if (spec.experts && spec.experts->top_k > spec.experts->experts) std::abort();
  });
  may_refuse([&] {
    const layercost::Price price = layercost::read_price(scratch.path, day);
    if (!(layercost::usd_per_device_hour(price) > 0.0)) std::abort();
    layercost::price_summary(price);
    layercost::price_labels(price, day);
  });
  may_refuse([&] { layercost::read_hardware(scratch.path); });
  may_refuse([&] { layercost::read_suite(scratch.path); });
  return 0;
}
