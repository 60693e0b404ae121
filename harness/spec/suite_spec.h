// What:    a suite: which models are measured at which points, and which (dense, moe) pairs stand in the table of
//          promised, possible and paid.
// Units:   tokens. `contexts` of decode count the keys already in the cache; one is appended, c + 1 are attended.
// Errors:  BadInput naming file, place and value. A suite names no files: a routing trace
//          is given on the command line.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace layercost {

struct SuitePair {
  std::string dense, moe;          // names in `models`
};

// Instead of models and formats: all that plan/what_if.h's ladder has of one model, and that model in a format, too.
struct SuiteLadder {
  std::string model;   // as find_model takes it
  std::string format;  // a weight format
};

struct SuiteDecode {
  std::vector<std::int64_t> batches;   // sequences, one new token each
  std::vector<std::int64_t> contexts;  // every batch runs at every context
};

struct SuitePrefill {
  std::vector<std::int64_t> tokens;    // prompt lengths, at `batch` prompts
  std::int64_t batch = 1;
};

struct Suite {
  std::string name, path;          // file name without .json; the file
  std::string title;               // the question it answers
  std::vector<std::string> models; // as find_model takes them
  SuiteDecode decode;              // both empty: no decode
  SuitePrefill prefill;            // empty: no prefill
  std::string dtype;               // "bf16" or "f32"
  std::vector<std::string> formats;  // weight formats, each at every point; empty: the dtype
  std::string routing;             // "router", "balanced", "uniform", "zipf:<s>"
  std::vector<SuitePair> pairs;
  std::optional<SuiteLadder> ladder;
};

// True for "router", "balanced", "uniform", "zipf:<s>" with 0 < s <= 10.
bool is_routing_word(const std::string& text);

Suite read_suite(const std::filesystem::path& file);
std::vector<std::string> list_suites(const std::filesystem::path& configs_dir);  // sorted names
// A name in configs/suites, or a file. An unknown name is a BadInput with the nearest known one.
Suite find_suite(const std::string& name_or_path, const std::filesystem::path& configs_dir);

}  // namespace layercost
