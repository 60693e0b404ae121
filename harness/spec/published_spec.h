// What:    published end-to-end results, each with source and date, in a form that a projection can be held against
//          (cost/published.h). Of the outside world: nothing here was measured by this program.
// Measures: decode   steps of `batch` sequences (of each device or group that has its own) with `prompt` tokens cached
//           prefill  steps of `batch` prompts of `prompt` tokens
//           request  `batch` prompts of `prompt` tokens, then `output` tokens for each; counted are the new tokens, or
//                    with `counts_prompt` all
// Value:   tokens_per_s of `devices` devices, or usd_per_mtok at `usd_per_hour` of each.
// Model:   a name as everywhere, "deepseek-v3@ep32" for one of 32 devices that share the experts. Where lengths are not
//          told, what is entered makes a step shorter than it was, and the note says so: a bound stays one.
// Not expressed: a result without what a projection needs stands here with `why_not`.
// Units:   tokens per second, USD; dates YYYY-MM-DD or YYYY-MM.
// Errors:  BadInput naming file, key, value, expectation and nearest spelling; unknown keys, also of another measure.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/spec/price_spec.h"

namespace layercost {

struct PublishedResult {
  std::string id, what;
  std::string why_not;  // "" it is expressed; else the rest is empty
  std::string model, hardware, measures;
  std::int64_t devices = 1;       // of the value
  std::string weights_format;     // "": as the model's config says
  std::int64_t batch = 1, prompt = 1, output = 0;
  bool counts_prompt = false;
  std::optional<double> tokens_per_s, usd_per_mtok, usd_per_hour;  // the last with the second
  std::string note;
};
struct PublishedSource {
  std::string id, path;
  std::string title, source, date;
  std::vector<PublishedResult> results;
};

PublishedSource read_published(const std::filesystem::path& file, Date on = today());
std::vector<PublishedSource> list_published(const std::filesystem::path& configs_dir, Date on = today());

}  // namespace layercost
